complete --keep-order --exclusive --command whsec --arguments "(COMPLETE=fish whsec -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
