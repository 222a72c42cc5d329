#!/bin/sh
# Reads what `size` says of the image, holds it against the limits, and compares the generated part of docs/size.md with
# it. With UPDATE=1 writes that part instead. What only a run can measure stands in the part that is not generated.
set -eu
text_max=${1:?usage: size.sh TEXT-MAX RAM-MAX DOCUMENT}
ram_max=$2
document=$3
read -r text data bss <<END
$(tail -1 | awk '{ print $1, $2, $3 }')
END
flash=$((text + data))
ram=$((data + bss))
[ "$flash" -lt "$text_max" ] || { echo "text and data have $flash bytes; the limit is $text_max" >&2; exit 1; }
[ "$ram" -lt "$ram_max" ] || { echo "static RAM has $ram bytes; the limit is $ram_max" >&2; exit 1; }
table="| what | bytes | limit |
| --- | --- | --- |
| text (program memory) | $text | |
| text + data (flash) | $flash | $text_max |
| data (constants and initial values) | $data | |
| bss (heap, pools, buffers) | $bss | |
| data + bss (static RAM) | $ram | $ram_max |
| left for the stack, of 65,536 | $((65536 - ram)) | |"
begin='<!-- make size writes this -->'
end='<!-- to here -->'
new=$(awk -v begin="$begin" -v end="$end" -v table="$table" '
  $0 == begin { print; print ""; print table; print ""; skip = 1; next }
  $0 == end { skip = 0 }
  !skip { print }' "$document")
echo "$table"
if [ "${UPDATE:-}" = 1 ]; then
  printf '%s\n' "$new" >"$document"
elif [ "$new" != "$(cat "$document")" ]; then
  echo "$document does not say this: run make size UPDATE=1 and look at what changed" >&2
  exit 1
fi
