#!/bin/sh
# Install the Debian packages that the tests need, or name them where that is not allowed.
set -eu
missing=""
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="postgresql"
for need in slurmctld:slurm-wlm slurmdbd:slurmdbd munged:munge mariadbd:mariadb-server; do
    [ -x "/usr/sbin/${need%%:*}" ] || missing="$missing ${need#*:}"
done
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v pdflatex >/dev/null 2>&1 || missing="$missing texlive-latex-base"
[ -n "$(find /usr/share/texlive /usr/share/texmf -name booktabs.sty 2>/dev/null)" ] || missing="$missing texlive-latex-recommended"
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need: $missing. Install it with your system's package manager." >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then sudo=""; elif command -v sudo >/dev/null 2>&1; then sudo="sudo"; else
    echo "The tests need: $missing. Ask for: apt-get install $missing" >&2
    exit 1
fi
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
