/* test_http_tls.c: servers whose certificates are not believed, and what a person is told to do about it. */
#include "common/http/http_client.h"
#include "common/http/s3_client.h"
#include "test/unit/suite.h"

#include <check.h>
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static uv_loop_t loop;
static char dir[] = "/tmp/platoon-tls-XXXXXX";
static pid_t server;
static int port;

/* openssl's own server, with a certificate that nobody has signed; it says at which port. */
static void start_server(void)
{
    char command[512], line[128];
    int out[2];
    snprintf(
        command, sizeof command,
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -keyout key -out crt 2>/dev/null",
        dir);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(pipe(out), 0);
    server = fork();
    if (server == 0) {
        if (chdir(dir) == 0 && dup2(out[1], 1) == 1)
            execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "crt",
                   "-key", "key", "-www", NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    port = 0;
    while (port == 0 && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "ACCEPT 127.0.0.1:%d", &port);
    ck_assert_int_gt(port, 0);
    fclose(f);
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    strcpy(dir, "/tmp/platoon-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    start_server();
}

static void tear_down(void)
{
    char command[64];
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

struct got {
    unsigned calls;
    enum s3_result result;
    char why[S3_WHY_SIZE];
};

static void on_answer(const struct s3_answer *answer, void *ctx)
{
    struct got *got = ctx;
    got->calls++;
    got->result = answer->result;
    slice_copy(slice_of(answer->why), got->why, sizeof got->why);
}

static struct got ask(const char *scheme)
{
    char url[64], credentials[64], why[S3_WHY_SIZE];
    struct s3_client *client;
    struct s3_call *call;
    struct got got = {0};
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/bucket", scheme, port);
    snprintf(credentials, sizeof credentials, "%s/aws", dir);
    FILE *f = fopen(credentials, "w");
    fputs("aws_access_key_id = A\naws_secret_access_key = S\n", f);
    fclose(f);
    chmod(credentials, 0600);
    struct s3_options options = {.url = url,
                                 .region = "r",
                                 .credentials_file = credentials,
                                 .http = {.parallel = 1, .timeout_ms = 5000, .answer_max = 4096}};
    ck_assert_msg(s3_client_new(&loop, &options, &client, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(s3_client_get(client, slice_of("k"), on_answer, &got, &call), 0);
    while (got.calls == 0)
        uv_run(&loop, UV_RUN_ONCE);
    s3_client_free(client);
    return got;
}

START_TEST(a_ca_that_is_not_known)
{
    struct got got = ask("https");
    ck_assert_int_eq(got.result, S3_FORBIDDEN); /* a person must mend it */
    ck_assert_msg(strstr(got.why, "run update-ca-certificates") != NULL, "%s", got.why);
    ck_assert_ptr_nonnull(strstr(got.why, "certificate"));
}
END_TEST

START_TEST(what_a_person_must_mend)
{
    static const struct {
        int code;
        long verify;
        const char *says, *ca_file;
    } cases[] = {
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_OK, "name the host as its certificate does", NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_CERT_HAS_EXPIRED, "has expired", NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_CERT_NOT_YET_VALID, "clock", NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "its CA", NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "its CA", NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "its CA",
         NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "its CA",
         NULL},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_CERT_REVOKED, "openssl s_client", NULL},
        {CURLE_SSL_CONNECT_ERROR, 0, "http://", NULL},
        {CURLE_SSL_CACERT_BADFILE, 0, "ca-certificates", NULL},
        {CURLE_SSL_CACERT_BADFILE, 0, "ca-certificates", ""},
        {CURLE_SSL_CACERT_BADFILE, 0, "tls_ca_file must be", "ca.crt"},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "as tls_ca_file",
         ""},
        {CURLE_PEER_FAILED_VERIFICATION, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "in tls_ca_file",
         "ca.crt"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *remedy =
            http_remedy(cases[i].code, cases[i].verify, "wrong version number", cases[i].ca_file);
        ck_assert_msg(remedy != NULL && strstr(remedy, cases[i].says) != NULL, "%zu: %s", i,
                      remedy);
    }
    static const int passing[] = {CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
                                  CURLE_SSL_CONNECT_ERROR};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        ck_assert_ptr_null(http_remedy(passing[i], 0, "Connection reset by peer", NULL));
}
END_TEST

SUITE_MAIN_WITH("http_tls", set_up, tear_down, a_ca_that_is_not_known, what_a_person_must_mend)
