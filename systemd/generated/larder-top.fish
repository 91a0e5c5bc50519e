complete -c larder-top -l socket -d 'The daemon\'s socket [LARDER_SOCKET, default that of your own daemon, or of the machine]' -r -F
complete -c larder-top -l interval -d 'Least time between samples, such as 5 or 0.5; 0 takes all that the daemon sends' -r
complete -c larder-top -l symbols -d 'What charts are drawn with: braille, block or ascii' -r -f -a "braille\t''
block\t''
ascii\t''"
complete -c larder-top -l palette -d 'Which colours: dark, light or colour-blind' -r -f -a "dark\t''
light\t''
colour-blind\t''"
complete -c larder-top -l colours -d 'How many colours: auto, true, 256, 16 or none' -r -f -a "auto\t''
true\t''
256\t''
16\t''
none\t''"
complete -c larder-top -l completions -d 'Print completions for bash, zsh, fish, elvish or powershell and leave' -r -f -a "bash\t''
elvish\t''
fish\t''
powershell\t''
zsh\t''"
complete -c larder-top -l once -d 'Print a summary and leave'
complete -c larder-top -l json -d 'Print one JSON object a sample, until stopped'
complete -c larder-top -l csv -d 'Print one line of CSV a sample, until stopped'
complete -c larder-top -l ascii -d 'Nothing but ASCII; the same as --symbols ascii'
complete -c larder-top -l mouse -d 'Click pages and panels, and turn the wheel'
complete -c larder-top -l allow-writes -d 'Let the key c have the daemon clean up, after a question'
complete -c larder-top -l man -d 'Print the manual page and leave'
complete -c larder-top -s V -l version -d 'Print the version and leave'
complete -c larder-top -s h -l help -d 'Print this and leave'
