# Completion of cdrctl for fish: put this file in ~/.config/fish/completions/.

function __cdrctl_answers --description "What may stand at the cursor"
    set -l before (commandline -opc)
    set -l begun (commandline -ct)
    set -l typed (string unescape -- $begun 2>/dev/null; or printf '%s' $begun)
    set -l program (string replace -r '^~/' "$HOME/" -- "$before[1]")
    type -q -- $program; and command -q -- $program; or set program cdrctl
    set -l line (string join \x1f -- $before "$typed" | string collect)
    set -l answer (env _CDRCTL_COMPLETE=ask_fish _CDRCTL_LINE=$line $program 2>/dev/null </dev/null)
    set -l kind (string split ' ' -- $answer[1])
    set -q kind[2]; or return
    set -l kept (string sub -l "$kind[2]" -- "$begun")
    set -l path (string sub -s (math "$kind[2]" + 1) -- "$begun")
    switch "$kind[1]"
        case files
            printf '%s\n' $kept(complete -C "'' $path")
        case folders
            printf '%s\n' $kept(__fish_complete_directories "$path")
        case '*'
            printf '%s\n' $answer[2..-1]
    end
end

complete --command cdrctl --no-files --keep-order --arguments '(__cdrctl_answers)'
