#compdef cdrctl
# Completion of cdrctl for zsh: put this file in a folder of your fpath under the name _cdrctl.

_cdrctl() {
  local program=${(Q)words[1]} begun=$PREFIX line kind word
  local -a before lines parts matches shown
  program=${program/#\~\//$HOME/}
  whence -p -- $program >/dev/null || program=cdrctl
  [[ -n $compstate[quote] ]] || begun=${(Q)begun}
  before=("${(@Q)words[1,CURRENT-1]}" "$begun")
  lines=("${(@f)$(_CDRCTL_COMPLETE=ask_zsh _CDRCTL_LINE=${(pj:\x1f:)before} command $program 2>/dev/null </dev/null)}")
  kind=${lines[1]% *}
  case $kind in
    files) compset -p ${lines[1]#* }; _files; return ;;
    folders) compset -p ${lines[1]#* }; _files -/; return ;;
  esac
  for line in "${(@)lines[2,-1]}"; do
    parts=("${(@ps:\t:)line}")
    [[ -n $parts[1] ]] || continue
    word=${parts[1]//\\/\\\\}
    matches+=("${word//:/\\:}")
    word=${parts[2]//\\/\\\\}
    shown+=("${word//:/\\:}${parts[3]:+:$parts[3]}")
  done
  (( $#matches )) || return 1
  if [[ $kind == goes_on ]]; then
    _describe -V -t values 'cdrctl' shown matches -S ''
  else
    _describe -V -t values 'cdrctl' shown matches
  fi
}

if [[ $funcstack[1] == _cdrctl ]]; then
  _cdrctl "$@"
else
  compdef _cdrctl cdrctl
fi
