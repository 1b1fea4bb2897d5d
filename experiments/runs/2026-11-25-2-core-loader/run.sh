#!/usr/bin/env bash
# Both programs in turn, three rounds of three passes each with two workers: run.sh FOLDER
# FOLDER holds the built benchmark (loading) and the shards (tars, by make.py); python has webdataset and torch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
python=${PYTHON:-python}
echo "program,n_workers,pass,n_samples,seconds,check" > "$here/raw.csv"
"$folder/loading" "$folder/tars" 2 1 > /dev/null
for _ in 1 2 3; do
  "$folder/loading" "$folder/tars" 2 3 >> "$here/raw.csv"
  "$python" "$here/peer.py" "$folder/tars" 2 3 >> "$here/raw.csv"
done
