# shellcheck shell=bash
# Settings, messages, and processes with pid files: what every part of the lab shares. Sourced by ./lab, never run.

# ---------------------------------------------------------------------------------------------------------------
# Settings, all from the environment (README.md lists them)
# ---------------------------------------------------------------------------------------------------------------

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)    # the lab's sources: read, never written
KILN_HOME=$(realpath -m "${KILN_HOME:-$HOME/.cache/kiln}")   # everything that the lab makes
LAB_PORT_OFFSET=${LAB_PORT_OFFSET:-0}
LAB_SERVICES=${LAB_SERVICES:-core}
LAB_HEAT=${LAB_HEAT:-}
LAB_WORKERS=${LAB_WORKERS:-2}

HOST=127.0.0.1
LINK_DIR=$KILN_HOME/bin      # kubectl, helm, openstack: what lab-env puts on the PATH
LOG_DIR=$KILN_HOME/log       # one log for each component, and NAME.access for each API: a line for each request
RUN_DIR=$KILN_HOME/run       # pid files, the lock, the database's socket
# shellcheck source=ports.sh
. "$LAB_DIR/ports.sh"

# check_settings: refuses settings that cannot work, before anything is touched.
check_settings() {
  [[ $LAB_PORT_OFFSET =~ ^-?[0-9]+$ ]] || die "LAB_PORT_OFFSET must be a whole number, not '$LAB_PORT_OFFSET'"
  [[ $LAB_WORKERS =~ ^[1-9][0-9]*$ ]] || die "LAB_WORKERS must be a positive number, not '$LAB_WORKERS'"
  [[ $KILN_HOME != *[[:space:]]* ]] || die "KILN_HOME must not contain spaces: '$KILN_HOME'"
  # A Unix socket's path holds 107 characters at most.
  ((${#KILN_HOME} <= 80)) || die "KILN_HOME is too long for the database's socket: $KILN_HOME"
}

# ---------------------------------------------------------------------------------------------------------------
# Messages: all on stderr, so that the output of `lab env` is clean
# ---------------------------------------------------------------------------------------------------------------

# say TEXT...: one progress line.
say() { printf 'lab: %s\n' "$*" >&2; }

# die TEXT...: says why, and ends the command.
die() {
  printf 'lab: error: %s\n' "$*" >&2
  TOLD=1
  exit 1
}
TOLD=

# tell_end: for the end of the command: one that fails never does so without a word.
tell_end() {
  local code=$?
  [ "$code" = 0 ] || [ -n "$TOLD" ] || say "error: the command ended with code $code, after what it said last"
}

# die_with_log LOG TEXT...: the same, with the log's last lines.
die_with_log() {
  local log=$1
  shift
  if [ -s "$log" ]; then tail -n 15 "$log" | sed 's/^/    /' >&2; fi
  die "$* (log: $log)"
}

# timed TEXT COMMAND...: announces the command, runs it, and prints how many seconds it took.
timed() {
  local text=$1 begin=$SECONDS
  shift
  say "$text ..."
  "$@"
  say "$text: $((SECONDS - begin)) s"
}

# logged NAME TEXT COMMAND...: the command with its output in the log NAME; says TEXT and the log's end if it fails.
logged() {
  local log=$LOG_DIR/$1.log text=$2
  shift 2
  "$@" >"$log" 2>&1 || die_with_log "$log" "$text"
}

# ---------------------------------------------------------------------------------------------------------------
# Stamps: work that is done once, and again when what it was made from has changed
# ---------------------------------------------------------------------------------------------------------------

# is_stamped FILE [CONTENT]: true if FILE exists and holds CONTENT.
is_stamped() { [ -e "$1" ] && [ "$(<"$1")" = "${2:-}" ]; }

# stamp FILE [CONTENT]: says for later runs that the work is done.
stamp() { printf '%s\n' "${2:-}" >"$1"; }

# ---------------------------------------------------------------------------------------------------------------
# Processes. A component runs in a session of its own. Its pid file holds three words, "PID START BOOT": the leader's
# pid, the clock tick at which it started, and the boot. So a pid that another program got later, or that a reboot
# left behind, is never taken for ours.
# ---------------------------------------------------------------------------------------------------------------

BOOT_ID=$(</proc/sys/kernel/random/boot_id)

# start_tick PID: the clock tick at which the process started; fails if it is gone, or dead and not yet reaped.
start_tick() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1   # not $(<FILE): where FILE is missing, that ends the script
  read -ra fields <<<"${stat##*) }"   # the name, in brackets, may hold spaces: count from behind it
  [ "${fields[0]}" != Z ] && echo "${fields[19]}"
}

# read_pid NAME: prints the pid of NAME's pid file if it stems from this boot, whether or not the process lives.
read_pid() {
  local pid tick boot
  { read -r pid tick boot <"$RUN_DIR/$1.pid"; } 2>/dev/null || return 1
  [ "$boot" = "$BOOT_ID" ] || return 1
  # Somebody else's by now, if the pid is in use with another start.
  [ ! -e "/proc/$pid" ] || [ "$(start_tick "$pid")" = "$tick" ] || [ -z "$(start_tick "$pid")" ] || return 1
  echo "$pid"
}

# is_running NAME: true if the process that the pid file names is alive, and is the one that the lab started.
is_running() {
  local pid
  pid=$(read_pid "$1") && start_tick "$pid" >/dev/null
}

# launch NAME COMMAND...: starts COMMAND in the background unless NAME runs already.
launch() {
  local name=$1 pid tick
  shift
  ! is_running "$name" || return 0
  # The lock (descriptor 9) must not be inherited: it would be held for as long as the process lives.
  setsid "$@" >>"$LOG_DIR/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  LAUNCHED+=("$name")
  tick=$(start_tick "$pid") || die_with_log "$LOG_DIR/$name.log" "$name ended at once"
  echo "$pid $tick $BOOT_ID" >"$RUN_DIR/$name.pid"
}
LAUNCHED=()   # what this run has started

# signal_group SIGNAL NAME: signals the process group of the component's session; fails if nothing of it is left.
signal_group() {
  local pid
  pid=$(read_pid "$2") && kill "-$1" -- "-$pid" 2>/dev/null
}

# group_lives NAME: true if a process of NAME's group is alive; dead ones that nobody has reaped yet do not count.
group_lives() {
  local pid
  pid=$(read_pid "$1") && pgrep -g "$pid" -r D,I,R,S,T >/dev/null
}

# wait_gone NAME SECONDS: waits until nothing of the component lives; fails if time runs out.
wait_gone() {
  local deadline=$((SECONDS + $2))
  while group_lives "$1"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# stop NAME...: ends the components together: TERM, and KILL for what is left after ten seconds.
stop() {
  local name deadline=$((SECONDS + 10))
  for name in "$@"; do signal_group TERM "$name" || true; done
  for name in "$@"; do wait_gone "$name" $((deadline - SECONDS)) || kill_hard "$name"; done
  for name in "$@"; do rm -f "$RUN_DIR/$name.pid"; done
}

# kill_hard NAME...: ends the components with SIGKILL, as a crash would.
kill_hard() {
  local name
  for name in "$@"; do signal_group KILL "$name" || true; done
  for name in "$@"; do wait_gone "$name" 10 || die "$name survived SIGKILL"; done
  for name in "$@"; do rm -f "$RUN_DIR/$name.pid"; done
}

# memory_of NAME: the component's memory in MiB, shared pages counted in proportion.
memory_of() {
  local leader pid total=0 pss
  leader=$(read_pid "$1") || return 0
  for pid in $(pgrep -s "$leader"); do
    pss=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null) || continue
    total=$((total + ${pss:-0}))
  done
  echo $((total / 1024))
}

# wait_until NAME SECONDS COMMAND...: waits until COMMAND succeeds; ends with NAME's log if NAME dies or time runs out.
wait_until() {
  local name=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    is_running "$name" || die_with_log "$LOG_DIR/$name.log" "$name died while starting"
    ((SECONDS < deadline)) || die_with_log "$LOG_DIR/$name.log" "$name is not ready in time"
    sleep 0.2
  done
}

# port_answers NUMBER: true if something listens on the port.
port_answers() { (: <"/dev/tcp/$HOST/$1") 2>/dev/null; }

# http_answers PORT: true if the API behind the port answers in earnest (OpenStack's say 300, 200 or 401 at their root).
http_answers() {
  case $(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://$HOST:$1/") in
    000 | 500 | 503) return 1 ;;
  esac
}

# need_free_port NAME: refuses to start NAME while another program has its port.
need_free_port() {
  local number
  number=$(port "$1")
  is_running "$1" || ! port_answers "$number" ||
    die "port $number ($1) is in use by another program: stop it, or set LAB_PORT_OFFSET to shift all ports"
}

# take_lock [PART]: one command that starts or stops a part at a time; the second one waits.
take_lock() {
  mkdir -p "$LINK_DIR" "$LOG_DIR" "$RUN_DIR"
  exec 9>"$RUN_DIR/lock${1:+-$1}"
  flock -n 9 || {
    say "another lab command is at work on $KILN_HOME: waiting"
    flock 9
  }
}

# is_cut_off NAME: true if NAME ran when the machine went down: its pid file is there, from another boot.
is_cut_off() {
  local pid tick boot
  { read -r pid tick boot <"$RUN_DIR/$1.pid"; } 2>/dev/null && [ "$boot" != "$BOOT_ID" ]
}
