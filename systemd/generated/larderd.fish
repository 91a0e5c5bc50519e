# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_larderd_global_optspecs
    string join \n socket= socket-mode= socket-group= data= warm= admin-users= admin-groups= read-only-users= read-only-groups= allowed-users= allowed-groups= tcp= tcp-role= password-file= durability= sync-interval= flush-interval= journal-limit= disk-cap= compress-from= compression-level= memory-cap= memory-max-age= hot-keys= hot-keys-interval= buffer-cap= merge-interval= merge-bytes= readers= default-ttl= max-ttl= ttl-jitter-percent= cleanup-interval= cleanup-slice-rows= max-connections= max-user-connections= max-user-buffer= idle-timeout= max-line= max-args= max-key= max-value= output-limit= output-stall= half-request-timeout= buffer-budget= subscriber-buffer= notify-keyspace-events= stats-interval= stats-backlog= slow-command= slow-commands-kept= log-level= log-format= config= check-config print-config completions= man= V/version h/help
end

function __fish_larderd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_larderd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_larderd_using_subcommand
    set -l cmd (__fish_larderd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c larderd -n "__fish_larderd_needs_command" -l socket -d 'Unix socket to listen on [LARDER_SOCKET, default larder/larder.sock in $XDG_RUNTIME_DIR or ~/.local/state, for root /run/larder/larder.sock]' -r -F
complete -c larderd -n "__fish_larderd_needs_command" -l socket-mode -d 'Permission bits of the socket; who may write to it may connect [LARDER_SOCKET_MODE, default 0600]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l socket-group -d 'Group of the socket, by name or number; empty for the daemon\'s own [LARDER_SOCKET_GROUP, default ]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_needs_command" -l warm -d 'File of commands, as RESP or as lines, to run at each start before the first client is served; a SET with NX leaves alone what is there already [LARDER_WARM, default ]' -r -F
complete -c larderd -n "__fish_larderd_needs_command" -l admin-users -d 'Users, by name or number, who may do everything, as root and the daemon\'s own user always may [LARDER_ADMIN_USERS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l admin-groups -d 'Groups whose members may do everything; a user that is in a list of users is not judged by groups [LARDER_ADMIN_GROUPS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l read-only-users -d 'Users who may only look and listen [LARDER_READ_ONLY_USERS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l read-only-groups -d 'Groups whose members may only look and listen [LARDER_READ_ONLY_GROUPS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l allowed-users -d 'Users who may read and write; where this and allowed_groups are empty, everyone the socket\'s mode lets in [LARDER_ALLOWED_USERS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l allowed-groups -d 'Groups whose members may read and write [LARDER_ALLOWED_GROUPS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l tcp -d 'Address and port to listen on beside the socket, for clients that cannot use one; empty for none, and only a loopback address without password_file [LARDER_TCP, default ]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l tcp-role -d 'What clients of tcp may do, as nobody knows who they are: read-only, normal or admin [LARDER_TCP_ROLE, default normal, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l password-file -d 'File whose first line clients of tcp have to give by AUTH before anything else; those of the socket need none [LARDER_PASSWORD_FILE, default , changes with a reload]' -r -F
complete -c larderd -n "__fish_larderd_needs_command" -l durability -d 'When a write is answered: commit, once it survives the daemon\'s death; fsync, once it survives the machine\'s; memory, at once [LARDER_DURABILITY, default commit]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l sync-interval -d 'Longest time answered writes wait for the disk, where the machine\'s death would lose them [LARDER_SYNC_INTERVAL, default 1s, 1ms to 1s]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l flush-interval -d 'Longest time answered writes stay in memory alone; only with durability memory [LARDER_FLUSH_INTERVAL, default 100ms, 1ms to 1h]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l journal-limit -d 'Size of the journal at which it is merged and begun anew [LARDER_JOURNAL_LIMIT, default 160MiB, 64KiB to 1TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l disk-cap -d 'Disk space for all of larder\'s files together; above it the coldest entries go, the expired first; at least 64MiB, 0 for no limit [LARDER_DISK_CAP, default 10GiB, 0 to 1024TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l compress-from -d 'Size from which values are compressed on disk, where it pays; 0 for never [LARDER_COMPRESS_FROM, default 1KiB, 0 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l compression-level -d 'How hard values are compressed, as zstd counts it: higher is smaller and slower [LARDER_COMPRESSION_LEVEL, default 3, 1 to 19]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l memory-cap -d 'Memory for entries in use; 0 turns the memory tier off [LARDER_MEMORY_CAP, default 64MiB, 0 to 64TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l memory-max-age -d 'Time after which an entry leaves memory even if it is in use, to be read from the disk again; 0 for none [LARDER_MEMORY_MAX_AGE, default 0, 0 to 36500d]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l hot-keys -d 'Entries in use whose keys are noted on disk, so that a restart brings them back into memory; 0 for none [LARDER_HOT_KEYS, default 100000, 0 to 1000000]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l hot-keys-interval -d 'Time between such notes, for where the daemon does not stop in an orderly way [LARDER_HOT_KEYS_INTERVAL, default 5m, 1ms to 1d]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l buffer-cap -d 'Memory for writes that are not merged into the database yet; above it, writers wait [LARDER_BUFFER_CAP, default 256MiB, 64KiB to 64TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l merge-interval -d 'Time between merges of written entries into the database [LARDER_MERGE_INTERVAL, default 5s, 1ms to 1d]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l merge-bytes -d 'Size of the written entries that starts a merge before its time; at most half of buffer_cap [LARDER_MERGE_BYTES, default 128MiB, 1 to 64TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l readers -d 'Threads, each with a connection, that read the database [LARDER_READERS, default 4, 1 to 64]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l default-ttl -d 'Time to live of an entry that is set without one; 0 for none [LARDER_DEFAULT_TTL, default 0, 0 to 36500d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-ttl -d 'Longest time to live; what is set for longer or without one gets this; 0 for no limit [LARDER_MAX_TTL, default 0, 0 to 36500d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l ttl-jitter-percent -d 'Part of its time to live by which a value\'s may be shorter, each by another, so that what is set together does not expire together; not for SET with a condition or EXAT, nor for EXPIRE and counters [LARDER_TTL_JITTER_PERCENT, default 0, 0 to 90, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l cleanup-interval -d 'Time between removals of expired entries from the disk; they are never served meanwhile [LARDER_CLEANUP_INTERVAL, default 1m, 1ms to 1d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l cleanup-slice-rows -d 'Entries removed in one go, with other work served in between [LARDER_CLEANUP_SLICE_ROWS, default 1000, 1 to 1000000]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-connections -d 'Connections at one time; the next one gets an error and is closed [LARDER_MAX_CONNECTIONS, default 10000, 1 to 1000000, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-user-connections -d 'Connections of one user at one time, administrators\' left aside; 0 for as many as there may be [LARDER_MAX_USER_CONNECTIONS, default 0, 0 to 1000000, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-user-buffer -d 'Memory for requests and replies under way of one user\'s connections together, within buffer_budget, and as much again for what is kept for them; 0 for no limit of its own [LARDER_MAX_USER_BUFFER, default 0, 0 to 1TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l idle-timeout -d 'Time after which a client that sends nothing and listens to nothing is disconnected; 0 for never [LARDER_IDLE_TIMEOUT, default 0, 0 to 1d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-line -d 'Size of a request that is one line of text [LARDER_MAX_LINE, default 64KiB, 64 to 64MiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-args -d 'Words of one request [LARDER_MAX_ARGS, default 1048576, 16 to 16777216]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-key -d 'Size of a key [LARDER_MAX_KEY, default 64KiB, 1 to 1MiB, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l max-value -d 'Size of a value [LARDER_MAX_VALUE, default 32MiB, 1 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l output-limit -d 'Unread replies of a connection at which its requests are no longer read [LARDER_OUTPUT_LIMIT, default 1MiB, 1KiB to 1TiB, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l output-stall -d 'Time a client may leave replies unread before it is disconnected [LARDER_OUTPUT_STALL, default 10s, 1ms to 1d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l half-request-timeout -d 'Time a client may stop in the middle of a request before it is disconnected [LARDER_HALF_REQUEST_TIMEOUT, default 30s, 1ms to 1d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l buffer-budget -d 'Memory for requests and replies under way, of all connections together, and as much again for what they have queued, watch and are subscribed to [LARDER_BUFFER_BUDGET, default 64MiB, 64KiB to 1TiB]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l subscriber-buffer -d 'Unread messages of a subscriber at which it is disconnected [LARDER_SUBSCRIBER_BUFFER, default 32MiB, 1KiB to 1TiB, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l notify-keyspace-events -d 'Changes of keys that are published, in Redis\'s letters: K or E for the channels, A for all or g, $, x, e and m [LARDER_NOTIFY_KEYSPACE_EVENTS, default , changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l stats-interval -d 'Time between two samples for those who subscribe to larder:stats [LARDER_STATS_INTERVAL, default 1s, 20ms to 1m, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l stats-backlog -d 'How far back the samples reach that a subscription to larder:stats begins with [LARDER_STATS_BACKLOG, default 3h, 0 to 3h, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l slow-command -d 'Time from which a command is kept for SLOWLOG, 0 for none [LARDER_SLOW_COMMAND, default 10ms, 0 to 1d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l slow-commands-kept -d 'Slow commands that are kept [LARDER_SLOW_COMMANDS_KEPT, default 128, 0 to 100000, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l log-level -d 'Least important event that is logged: error, warn, info or debug [LARDER_LOG_LEVEL, default info, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l log-format -d 'What a line of the log looks like: text, or json for an object with time, level, message and fields [LARDER_LOG_FORMAT, default text, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_needs_command" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_needs_command" -l completions -d 'Print completions for bash, zsh, fish, elvish or powershell and leave' -r -f -a "bash\t''
elvish\t''
fish\t''
powershell\t''
zsh\t''"
complete -c larderd -n "__fish_larderd_needs_command" -l man -d 'Print the manual page, or that of a subcommand, and leave' -r -f -a "check\t''
doctor\t''
compact\t''
backup\t''
export\t''
import\t''
warm\t''
larderd\t''"
complete -c larderd -n "__fish_larderd_needs_command" -l check-config -d 'Check the configuration, say what is wrong with it and leave'
complete -c larderd -n "__fish_larderd_needs_command" -l print-config -d 'Print every setting with its value and where that came from, and leave'
complete -c larderd -n "__fish_larderd_needs_command" -s V -l version -d 'Print the version and leave'
complete -c larderd -n "__fish_larderd_needs_command" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "check" -d 'Check the data, without changing anything'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "doctor" -d 'Look whether a daemon can run here, and does'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "compact" -d 'Make the database as small as its entries allow'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "backup" -d 'Copy the database to a file, also while a daemon runs'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "export" -d 'Write all entries as requests'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "import" -d 'Store the entries of a file of requests'
complete -c larderd -n "__fish_larderd_needs_command" -f -a "warm" -d 'Send a file of commands to a running daemon'
complete -c larderd -n "__fish_larderd_using_subcommand check" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand check" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand check" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l socket -d 'Unix socket to listen on [LARDER_SOCKET, default larder/larder.sock in $XDG_RUNTIME_DIR or ~/.local/state, for root /run/larder/larder.sock]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l socket-mode -d 'Permission bits of the socket; who may write to it may connect [LARDER_SOCKET_MODE, default 0600]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l disk-cap -d 'Disk space for all of larder\'s files together; above it the coldest entries go, the expired first; at least 64MiB, 0 for no limit [LARDER_DISK_CAP, default 10GiB, 0 to 1024TiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l max-connections -d 'Connections at one time; the next one gets an error and is closed [LARDER_MAX_CONNECTIONS, default 10000, 1 to 1000000, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand doctor" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand compact" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand compact" -l disk-cap -d 'Disk space for all of larder\'s files together; above it the coldest entries go, the expired first; at least 64MiB, 0 for no limit [LARDER_DISK_CAP, default 10GiB, 0 to 1024TiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand compact" -l compress-from -d 'Size from which values are compressed on disk, where it pays; 0 for never [LARDER_COMPRESS_FROM, default 1KiB, 0 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand compact" -l compression-level -d 'How hard values are compressed, as zstd counts it: higher is smaller and slower [LARDER_COMPRESSION_LEVEL, default 3, 1 to 19]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand compact" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand compact" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l socket -d 'Unix socket to listen on [LARDER_SOCKET, default larder/larder.sock in $XDG_RUNTIME_DIR or ~/.local/state, for root /run/larder/larder.sock]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l disk-cap -d 'Disk space for all of larder\'s files together; above it the coldest entries go, the expired first; at least 64MiB, 0 for no limit [LARDER_DISK_CAP, default 10GiB, 0 to 1024TiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l compress-from -d 'Size from which values are compressed on disk, where it pays; 0 for never [LARDER_COMPRESS_FROM, default 1KiB, 0 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l compression-level -d 'How hard values are compressed, as zstd counts it: higher is smaller and slower [LARDER_COMPRESSION_LEVEL, default 3, 1 to 19]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand backup" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand backup" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand export" -l output -d 'File to write, which must not be there yet, instead of standard output' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand export" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand export" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand export" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand import" -l data -d 'Directory of the entries; one daemon at a time owns it [LARDER_DATA, default $XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand import" -l disk-cap -d 'Disk space for all of larder\'s files together; above it the coldest entries go, the expired first; at least 64MiB, 0 for no limit [LARDER_DISK_CAP, default 10GiB, 0 to 1024TiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l compress-from -d 'Size from which values are compressed on disk, where it pays; 0 for never [LARDER_COMPRESS_FROM, default 1KiB, 0 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l compression-level -d 'How hard values are compressed, as zstd counts it: higher is smaller and slower [LARDER_COMPRESSION_LEVEL, default 3, 1 to 19]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l merge-bytes -d 'Size of the written entries that starts a merge before its time; at most half of buffer_cap [LARDER_MERGE_BYTES, default 128MiB, 1 to 64TiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l max-ttl -d 'Longest time to live; what is set for longer or without one gets this; 0 for no limit [LARDER_MAX_TTL, default 0, 0 to 36500d, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l max-line -d 'Size of a request that is one line of text [LARDER_MAX_LINE, default 64KiB, 64 to 64MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l max-args -d 'Words of one request [LARDER_MAX_ARGS, default 1048576, 16 to 16777216]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l max-key -d 'Size of a key [LARDER_MAX_KEY, default 64KiB, 1 to 1MiB, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l max-value -d 'Size of a value [LARDER_MAX_VALUE, default 32MiB, 1 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand import" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand import" -s h -l help -d 'Print this and leave'
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l socket -d 'Unix socket to listen on [LARDER_SOCKET, default larder/larder.sock in $XDG_RUNTIME_DIR or ~/.local/state, for root /run/larder/larder.sock]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l max-line -d 'Size of a request that is one line of text [LARDER_MAX_LINE, default 64KiB, 64 to 64MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l max-args -d 'Words of one request [LARDER_MAX_ARGS, default 1048576, 16 to 16777216]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l max-key -d 'Size of a key [LARDER_MAX_KEY, default 64KiB, 1 to 1MiB, changes with a reload]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l max-value -d 'Size of a value [LARDER_MAX_VALUE, default 32MiB, 1 to 512MiB]' -r -f
complete -c larderd -n "__fish_larderd_using_subcommand warm" -l config -d 'File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root, /etc, if it is there [LARDER_CONFIG]' -r -F
complete -c larderd -n "__fish_larderd_using_subcommand warm" -s h -l help -d 'Print this and leave'
