# plan.awk: finish dates from work (task, who, days), staff (who, from) and holidays (day, name), which come as one
# stream: =====HEADER, and each line behind one tab. Everybody does one task after the other, in the order of work, and
# nothing on Saturdays, Sundays and holidays.
BEGIN {
    FS = OFS = "\t"
    print "task", "who", "start", "finish"
}
/^=====/ { part = substr($0, 6); next }
{ $0 = substr($0, 2) }
part == "work" { task[++count] = $1; who[count] = $2; days[count] = $3 }
part == "staff" { free[$1] = day_of($2) }
part == "holidays" { off[day_of($1)] = 1 }
END {
    for (i = 1; i <= count; i++) {
        if (!(who[i] in free)) {
            print task[i] ": " who[i] " is not in staff" | "cat >&2"
            close("cat >&2")
            exit 1
        }
        start = finish = working(free[who[i]])
        for (left = days[i]; left > 1; left--)
            finish = working(finish + 1)
        free[who[i]] = finish + 1
        print task[i], who[i], text_of(start), text_of(finish)
    }
}

# The first day from this one on that somebody works on. Day 0, 1970-01-01, was a Thursday.
function working(day) {
    while ((day + 3) % 7 > 4 || day in off)
        day++
    return day
}

# Days since 1970-01-01 of 2026-11-30, and back (Howard Hinnant's algorithms).
function day_of(text,    p, y, m, era, yoe, doy) {
    split(text, p, "-")
    y = p[1] - (p[2] <= 2)
    m = (p[2] + 9) % 12
    era = int(y / 400)
    yoe = y - era * 400
    doy = int((153 * m + 2) / 5) + p[3] - 1
    return era * 146097 + yoe * 365 + int(yoe / 4) - int(yoe / 100) + doy - 719468
}

function text_of(day,    era, doe, yoe, doy, mp, m) {
    day += 719468
    era = int(day / 146097)
    doe = day - era * 146097
    yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
    doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100))
    mp = int((5 * doy + 2) / 153)
    m = mp < 10 ? mp + 3 : mp - 9
    return sprintf("%04d-%02d-%02d", yoe + era * 400 + (m <= 2), m, doy - int((153 * mp + 2) / 5) + 1)
}
