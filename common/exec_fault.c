/* exec_fault.c: why a file could not be executed. See exec_fault.h. */
#include "common/exec_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULT_LINE_MAX 256 /* as much of a first line as the kernel reads */

/* The interpreter that its first line names, its carriage return included; false: it is no script. */
static bool fault_interpreter(const char *file, char name[FAULT_LINE_MAX])
{
    char line[FAULT_LINE_MAX + 1];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, line, FAULT_LINE_MAX) : -1;
    if (fd >= 0)
        close(fd);
    if (n < 2 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = '\0';
    const char *from = line + 2 + strspn(line + 2, " \t");
    snprintf(name, FAULT_LINE_MAX, "%.*s", (int)strcspn(from, " \t\n"), from);
    return true;
}

static void fault_say_script(char *interpreter, struct buffer *out)
{
    size_t len = strlen(interpreter);
    bool returns = len > 0 && interpreter[len - 1] == '\r';
    if (returns)
        interpreter[len - 1] = '\0';
    if (returns)
        buffer_printf(out,
                      "its first line names the interpreter %s and ends in a carriage return, "
                      "which is taken for a part of that name: save it with the line ends of Unix",
                      interpreter);
    else
        buffer_printf(out,
                      "its interpreter %s, named by its first line, cannot be run: install it, or "
                      "correct that line",
                      interpreter);
}

/* The topmost directory above it that is not there, when it is one of those that is missing. */
static void fault_say_directory(const char *file, struct buffer *out)
{
    char dir[PATH_MAX];
    for (const char *at = file; (at = strchr(at + 1, '/')) != NULL;) {
        snprintf(dir, sizeof dir, "%.*s", (int)(at - file), file);
        if (access(dir, F_OK) == 0)
            continue;
        buffer_printf(out, " (there is no directory %s)", dir);
        return;
    }
}

static void fault_say_missing(const char *file, const char *remedy, struct buffer *out)
{
    char interpreter[FAULT_LINE_MAX];
    if (access(file, F_OK) != 0) {
        buffer_printf(out, "%s: %s", strerror(errno), remedy);
        fault_say_directory(file, out);
    } else if (fault_interpreter(file, interpreter)) {
        fault_say_script(interpreter, out);
    } else {
        buffer_append_text(out, "it is there, but not the loader that it names: it was built for "
                                "another system");
    }
}

static void fault_say_forbidden(const char *file, struct buffer *out)
{
    char interpreter[FAULT_LINE_MAX];
    struct stat st;
    buffer_append_text(out, "Permission denied: ");
    if (stat(file, &st) != 0)
        buffer_append_text(out, "its user may not enter a directory above it");
    else if (S_ISDIR(st.st_mode))
        buffer_append_text(out, "it is a directory, name the program in it");
    else if ((st.st_mode & 0111) == 0)
        buffer_printf(out, "it is not executable: chmod +x %s", file);
    else if (fault_interpreter(file, interpreter))
        fault_say_script(interpreter, out);
    else
        buffer_append_text(out, "its user may not execute it, or its file system is mounted "
                                "noexec");
}

void exec_fault_say(const char *file, int error, const char *remedy, struct buffer *out)
{
    if (error == ENOENT)
        fault_say_missing(file, remedy, out);
    else if (error == EACCES)
        fault_say_forbidden(file, out);
    else if (error == ETXTBSY)
        buffer_append_text(out, "somebody has it open for writing: it is tried again until that "
                                "is over");
    else if (error == ENOEXEC)
        buffer_append_text(out, "it is no program that this system runs, or only a part of one");
    else
        buffer_printf(out, "%s: %s", strerror(error), remedy);
}
