#compdef cdrctl

_cdrctl_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _CDRCTL_COMPLETE=complete_zsh cdrctl)
}

compdef _cdrctl_completion cdrctl
