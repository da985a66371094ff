# condition.awk: a table as people keep it becomes one that programs read: no comments, no empty lines, no blanks around
# a field. A line with another number of fields than -v fields says is told, and then nothing is made.
BEGIN { FS = OFS = "\t" }
{ sub(/\r$/, "") }
/^[ \t]*(#|$)/ { next }
NF != fields {
    print "line " NR ": " NF " fields, it must have " fields | "cat >&2"
    wrong = 1
    exit
}
{
    for (i = 1; i <= NF; i++)
        gsub(/^ +| +$/, "", $i)
    print
}
END {
    close("cat >&2")
    exit wrong
}
