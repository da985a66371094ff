/*
 * test_job_pickle.c: pickles beside Python's own (workers/jobs/job_pickle.h): of a thousand random values Python reads
 * what we write, and we what Python writes by every protocol.
 */
#include "test/unit/suite.h"
#include "workers/jobs/job_pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Lines "JSON\tHEX of its pickle": what python is told, and what it says. */
static const char makes[] =
    "import random, json, pickle\n"
    "r = random.Random(7)\n"
    "def text(): return ''.join(r.choice('ab\\u00e9\\u20ac\\U0001f600 \\\"') for _ in "
    "range(r.choice([0, 3, 3, 300])))\n"
    "def value(d):\n"
    "    k = r.randrange(9 if d < 5 else 6)\n"
    "    if k == 0: return r.choice([None, True, False])\n"
    "    if k == 1: return r.randrange(-2**63, 2**63)\n"
    "    if k == 2: return r.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, "
    "-2**31 - 1, 2**63 - 1, -2**63])\n"
    "    if k == 3: return r.uniform(-1e9, 1e9)\n"
    "    if k < 6: return text()\n"
    "    if k < 8: return [value(d + 1) for _ in range(r.randrange(5))]\n"
    "    return {text(): value(d + 1) for _ in range(r.randrange(5))}\n"
    "for _ in range(1000):\n"
    "    v = value(0)\n"
    "    for p in (2, 3, 4, 5): print(json.dumps([v]), pickle.dumps([v], p).hex(), sep='\\t')\n"
    "long = ['x' * 9, ['y' * 70000] * 3] + list(range(3000))\n"
    "for p in (2, 3, 4, 5): print(json.dumps(long), pickle.dumps(long, p).hex(), sep='\\t')\n";

static const char checks[] =
    "import sys, json, pickle\n"
    "n = 0\n"
    "for line in open(sys.argv[1]):\n"
    "    want, got = line.split('\\t')\n"
    "    assert pickle.loads(bytes.fromhex(got)) == json.loads(want), line\n"
    "    n += 1\n"
    "print(n)\n";

static FILE *python(const char *program, const char *argument)
{
    char command[1024], file[] = "/tmp/test_job_pickle.XXXXXX";
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, program, strlen(program)), (ssize_t)strlen(program));
    close(fd);
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s; rm -f %s", file, argument, file);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    return f;
}

static struct buffer from_hex(const char *hex)
{
    struct buffer out = BUFFER_EMPTY;
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        buffer_append_char(&out, (char)(unsigned char)byte);
    return out;
}

static json_t *read_hex(const char *hex, int expected)
{
    struct buffer bytes = from_hex(hex);
    json_t *value = NULL;
    ck_assert_msg(job_pickle_read(buffer_slice(&bytes), &value) == expected, "%s", hex);
    buffer_fini(&bytes);
    return value;
}

static void write_hex(FILE *to, const json_t *value)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert_int_eq(job_pickle_write(&out, value), 0);
    for (size_t i = 0; i < out.len; i++)
        fprintf(to, "%02x", (unsigned char)out.data[i]);
    buffer_fini(&out);
}

START_TEST(test_beside_python)
{
    char file[] = "/tmp/test_job_pickle.XXXXXX", said[32] = "";
    FILE *ours = fdopen(mkstemp(file), "w"), *theirs = python(makes, "");
    char *line = NULL;
    size_t size = 0;
    int count = 0;
    ck_assert_ptr_nonnull(ours);
    while (getline(&line, &size, theirs) > 0) {
        char *hex = strchr(line, '\t');
        *hex++ = '\0';
        json_t *want = json_loads(line, JSON_DECODE_ANY, NULL), *got = read_hex(hex, 0);
        ck_assert_msg(want != NULL && json_equal(want, got), "%s", line);
        fprintf(ours, "%s\t", line);
        write_hex(ours, got);
        fputc('\n', ours);
        json_decref(want);
        json_decref(got);
        count++;
    }
    ck_assert_int_eq(count, 4004);
    ck_assert_int_eq(pclose(theirs), 0);
    ck_assert_int_eq(fclose(ours), 0);
    FILE *checked = python(checks, file);
    ck_assert_ptr_nonnull(fgets(said, sizeof said, checked));
    ck_assert_int_eq(pclose(checked), 0);
    unlink(file);
    free(line);
    ck_assert_int_eq(atoi(said), count);
}
END_TEST

START_TEST(test_tuples_are_arrays)
{
    /* pickle.dumps(((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ()), 2), without names */
    json_t *got = read_hex("8002"
                           "28"
                           "4b0185"
                           "4b014b0286"
                           "4b014b024b0387"
                           "284b014b024b034b0474"
                           "29"
                           "742e",
                           0);
    char *text = json_dumps(got, JSON_COMPACT);
    ck_assert_str_eq(text, "[[1],[1,2],[1,2,3],[1,2,3,4],[]]");
    free(text);
    json_decref(got);
}
END_TEST

/* What JSON has not, what is cut, and what is made to hurt. */
START_TEST(test_what_is_refused)
{
    static const char *const hex[] = {
        "",
        "80022e",                       /* no value */
        "80024b01",                     /* no end */
        "80024b012e00",                 /* more behind it */
        "80024b014b022e",               /* two values */
        "8002282e",                     /* a mark */
        "80014b012e",                   /* protocol 1 */
        "80064b012e",                   /* protocol 6 */
        "80028f2e",                     /* a set */
        "8002636f730a73797374656d0a2e", /* os.system */
        "80025d71002868002e",           /* names a list again, and so itself */
        "80025d710068006"
        "12e",                /* a list in itself */
        "80027d4b014b02732e", /* a name that is no text */
        "80027d58010000000058020000"
        "0061622e",           /* a text with a NUL, cut */
        "80025802000000612e", /* a text that is longer than the rest */
        "8002580100"
        "0000ff2e", /* no UTF-8 */
        "80028a09010203040506070809"
        "2e",                       /* more than 64 bits */
        "8002477ff80000000000002e", /* NaN */
        "8002612e",
        "8002652e",
        "8002732e",
        "8002752e",
        "8002742e",
        "8002852e",
        "800268002e",
        "80024b0171052e",
        "80025d284b01752e",
        "80027d284b01652e",
        "80027d284b01752e",
    };
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++)
        read_hex(hex[i], -EINVAL);
}
END_TEST

static int nested(size_t levels, const char *open, const char *close)
{
    struct buffer b = BUFFER_EMPTY;
    json_t *value = NULL;
    buffer_append(&b, "\x80\x02", 2);
    for (size_t i = 0; i < levels; i++)
        buffer_append_text(&b, open);
    if (open[0] == '\0')
        buffer_append_text(&b, ")");
    for (size_t i = 1; i < levels; i++)
        buffer_append_text(&b, close);
    buffer_append_text(&b, ".");
    int rc = job_pickle_read(buffer_slice(&b), &value);
    json_decref(value);
    buffer_fini(&b);
    return rc;
}

START_TEST(test_nested_deep)
{
    ck_assert_int_eq(nested(JOB_PICKLE_DEPTH, "]", "a"), 0);
    ck_assert_int_eq(nested(JOB_PICKLE_DEPTH + 1, "]", "a"), -EINVAL);
    ck_assert_int_eq(nested(JOB_PICKLE_DEPTH, "", "\x85"), 0);
    ck_assert_int_eq(nested(1000000, "", "\x85"), -EINVAL);
    ck_assert_int_eq(nested(1000000, "]", "a"), -EINVAL);
    json_t *value = json_integer(1);
    struct buffer out = BUFFER_EMPTY;
    for (int i = 0; i <= JOB_PICKLE_DEPTH; i++) {
        ck_assert_int_eq(job_pickle_write(&out, value), 0);
        value = json_pack("[o]", value);
    }
    ck_assert_int_eq(job_pickle_write(&out, value), -EINVAL);
    json_decref(value);
    buffer_fini(&out);
}
END_TEST

/* A short pickle does not become a long value: a text of 70,000 bytes, named a thousand times. */
START_TEST(test_the_same_text_again_and_again)
{
    struct buffer b = BUFFER_EMPTY;
    json_t *value = NULL;
    buffer_append(&b, "\x80\x02](X\x70\x11\x01\x00", 9);
    for (int i = 0; i < 70000; i++)
        buffer_append_char(&b, 'x');
    buffer_append(&b, "q\x00", 2);
    for (int i = 0; i < 1000; i++)
        buffer_append(&b, "h\x00", 2);
    buffer_append_text(&b, "e.");
    ck_assert_int_eq(job_pickle_read(buffer_slice(&b), &value), -EINVAL);
    buffer_fini(&b);
}
END_TEST

START_TEST(test_data_as_rq_reads_it)
{
    static const char reads[] =
        "import sys, zlib, pickle\n"
        "print(pickle.loads(zlib.decompress(bytes.fromhex(sys.argv[1]))))\n";
    struct buffer out = BUFFER_EMPTY, hex = BUFFER_EMPTY;
    char said[256] = "";
    ck_assert_int_eq(job_data_write(&out, slice_of("coinis")), 0);
    for (size_t i = 0; i < out.len; i++)
        buffer_printf(&hex, "%02x", (unsigned char)out.data[i]);
    FILE *f = python(reads, buffer_text(&hex));
    ck_assert_ptr_nonnull(fgets(said, sizeof said, f));
    ck_assert_int_eq(pclose(f), 0);
    ck_assert_str_eq(said, "['platoon.run', None, ['coinis'], {}]\n");
    ck_assert_int_eq(job_data_write(&out, slice_make(out.data, 1025)), -EINVAL);
    buffer_fini(&out);
    buffer_fini(&hex);
}
END_TEST

SUITE_MAIN("job_pickle", test_beside_python, test_tuples_are_arrays, test_what_is_refused,
           test_nested_deep, test_the_same_text_again_and_again, test_data_as_rq_reads_it)
