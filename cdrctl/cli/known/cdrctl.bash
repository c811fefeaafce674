# Completion of cdrctl for bash: source this file, or put it in a folder of completions under the name cdrctl.

_cdrctl() {
    local program=${1/#\~\//$HOME/} answer line kind=
    type -P -- "$program" >/dev/null || program=cdrctl
    answer=$(_CDRCTL_COMPLETE=ask_bash _CDRCTL_LINE="${COMP_LINE:0:COMP_POINT}" "$program" 2>/dev/null </dev/null)
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then
            kind=$line
        else
            COMPREPLY+=("$2${line#+}") # what bash takes for the beginning, and the rest, which is quoted already
        fi
    done <<<"$answer"
    case $kind in
        goes_on) compopt -o nospace ;;
        files) compopt -o default ;;
        folders) compopt -o dirnames -o filenames ;;
    esac 2>/dev/null
    return 0
}

complete -F _cdrctl cdrctl
