/*
 * main.c: jobsched-api, the REST interface.
 *
 * One thread, one event loop for HTTP and libpq.  A request is parsed and checked, becomes one call of a SQL function,
 * and its answer is the function's JSON.
 */
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"
#include "config.h"
#include "log.h"
#include "version.h"

#define PROGRAM "jobsched-api"
#define MAX_HEADER 16384 /* bytes of request line and headers */
#define OTHER_FILES 32 /* descriptors beside those of clients and database */

/* Nothing is what a browser makes of it, and no other site's page may show or read it. */
#define COMMON_HEADERS "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n"

struct settings {
	char *listen;
	char *tokens_file;
	bool tls_terminated;
	char *allowed_hosts;
	char *database_url;
	long db_connections;
	double request_timeout;
	double read_timeout;
	long max_connections;
	long max_body;
	double shutdown_timeout;
	char *blob_store;
	char *blob_dir;
	char *s3_endpoint;
	bool s3_secure;
	char *s3_bucket;
	char *s3_access_key;
	char *s3_secret_key;
	char *s3_region;
	char *s3_addressing;
	char *s3_signature;
	char *log_level;
	char *log_format;
};

static const struct config_item items[] = {
        {.name = "API_LISTEN",
                .type = CONFIG_TEXT,
                .def = "127.0.0.1:8000",
                .offset = offsetof(struct settings, listen),
                .help = "address and port to listen on; port 0: any free one"},
        {.name = "API_TOKENS_FILE",
                .type = CONFIG_TEXT,
                .def = "",
                .offset = offsetof(struct settings, tokens_file),
                .help = "who may call: lines of NAME, SHA-256 of the token, role (see --hash-token); empty: anybody"},
        {.name = "API_TLS_TERMINATED",
                .type = CONFIG_BOOL,
                .def = "off",
                .offset = offsetof(struct settings, tls_terminated),
                .help = "on: a proxy in front of it speaks TLS; needed, with API_TOKENS_FILE, beyond loopback addresses"},
        {.name = "API_ALLOWED_HOSTS",
                .type = CONFIG_TEXT,
                .def = "",
                .offset = offsetof(struct settings, allowed_hosts),
                .help = "hosts, separated by commas, that a request may name beside loopback ones; empty, with tokens: any"},
        {.name = "DATABASE_URL",
                .type = CONFIG_TEXT,
                .def = "postgresql+psycopg2://app:app@localhost:5432/jobs",
                .secret = true,
                .offset = offsetof(struct settings, database_url),
                .help = "libpq URL or keyword=value list"},
        {.name = "API_DB_CONNECTIONS",
                .type = CONFIG_INT,
                .def = "4",
                .min = 1,
                .max = 64,
                .offset = offsetof(struct settings, db_connections),
                .help = "connections to the database"},
        {.name = "API_REQUEST_TIMEOUT",
                .type = CONFIG_SECONDS,
                .def = "10",
                .min = 0.1,
                .max = 300,
                .offset = offsetof(struct settings, request_timeout),
                .help = "seconds in which a request is answered"},
        {.name = "API_READ_TIMEOUT",
                .type = CONFIG_SECONDS,
                .def = "30",
                .min = 1,
                .max = 3600,
                .offset = offsetof(struct settings, read_timeout),
                .help = "seconds in which a request must have arrived whole; also how long a connection may be idle"},
        {.name = "API_MAX_CONNECTIONS",
                .type = CONFIG_INT,
                .def = "1024",
                .min = 1,
                .max = 65536,
                .offset = offsetof(struct settings, max_connections),
                .help = "clients connected at once; more wait to be accepted"},
        {.name = "API_MAX_BODY",
                .type = CONFIG_INT,
                .def = "1048576",
                .min = 1024,
                .max = 67108864,
                .offset = offsetof(struct settings, max_body),
                .help = "bytes of a request's body"},
        {.name = "SHUTDOWN_TIMEOUT",
                .type = CONFIG_SECONDS,
                .def = "30",
                .min = 0,
                .max = 3600,
                .offset = offsetof(struct settings, shutdown_timeout),
                .help = "seconds that SIGTERM leaves to open requests"},
        {.name = "BLOB_STORE",
                .type = CONFIG_CHOICE,
                .def = "file",
                .choices = "file|s3",
                .offset = offsetof(struct settings, blob_store),
                .help = "where the workers keep artifacts; this and the following as theirs"},
        {.name = "BLOB_DIR",
                .type = CONFIG_TEXT,
                .def = "artifacts",
                .offset = offsetof(struct settings, blob_dir),
                .help = "directory of BLOB_STORE=file"},
        {.name = "S3_ENDPOINT",
                .alias = "MINIO_ENDPOINT",
                .type = CONFIG_TEXT,
                .def = "",
                .offset = offsetof(struct settings, s3_endpoint),
                .help = "host, host:port or URL of the S3 server, as clients reach it; empty: AWS in S3_REGION"},
        {.name = "S3_SECURE",
                .alias = "MINIO_SECURE",
                .type = CONFIG_BOOL,
                .def = "true",
                .offset = offsetof(struct settings, s3_secure),
                .help = "https, when S3_ENDPOINT is no URL"},
        {.name = "S3_BUCKET",
                .alias = "MINIO_BUCKET",
                .type = CONFIG_TEXT,
                .def = "",
                .offset = offsetof(struct settings, s3_bucket),
                .help = "bucket"},
        {.name = "S3_ACCESS_KEY",
                .alias = "MINIO_ACCESS_KEY",
                .type = CONFIG_TEXT,
                .def = "",
                .secret = true,
                .offset = offsetof(struct settings, s3_access_key),
                .help = "key whose holder may read objects; it stands in the URLs that clients get"},
        {.name = "S3_SECRET_KEY",
                .alias = "MINIO_SECRET_KEY",
                .type = CONFIG_TEXT,
                .def = "",
                .secret = true,
                .offset = offsetof(struct settings, s3_secret_key),
                .help = "its secret"},
        {.name = "S3_REGION",
                .alias = "MINIO_REGION",
                .type = CONFIG_TEXT,
                .def = "us-east-1",
                .offset = offsetof(struct settings, s3_region),
                .help = "region that the signature names"},
        {.name = "S3_ADDRESSING",
                .type = CONFIG_CHOICE,
                .def = "path",
                .choices = "path|virtual",
                .offset = offsetof(struct settings, s3_addressing),
                .help = "path: host/bucket/key; virtual: bucket.host/key"},
        {.name = "S3_SIGNATURE",
                .type = CONFIG_CHOICE,
                .def = "v4",
                .choices = "v4|v2",
                .offset = offsetof(struct settings, s3_signature),
                .help = "Signature version"},
        {.name = "LOG_LEVEL",
                .type = CONFIG_CHOICE,
                .def = "INFO",
                .choices = "DEBUG|INFO|WARNING|WARN|ERROR",
                .offset = offsetof(struct settings, log_level),
                .help = "least level that is logged; DEBUG logs every request"},
        {.name = "LOG_FORMAT",
                .type = CONFIG_CHOICE,
                .def = "text",
                .choices = "text|json",
                .offset = offsetof(struct settings, log_format),
                .help = "form of log lines on standard error"},
};

#define N_ITEMS (sizeof(items) / sizeof(items[0]))

/* Everything that the signal handlers of the loop need. */
struct program {
	struct event_base *base;
	struct http_server *http;
	struct guard *guard;
	struct event *sigterm, *sigint, *sighup, *give_up;
	double shutdown_timeout;
	bool stopping;
};

static void
usage(FILE *out)
{
	fprintf(out,
	        "Usage: " PROGRAM " [OPTION]\n"
	        "The REST interface of jobsched: turns HTTP requests into calls of its SQL functions.\n\n"
	        "  --check-config           print the settings that would be used, secrets masked, and exit\n"
	        "  --hash-token NAME ROLE   read a token from standard input, print its line for API_TOKENS_FILE, and exit\n"
	        "                           (ROLE: viewer, submitter or admin)\n"
	        "  --routes                 print the calls it answers, with the least role for each, and exit\n"
	        "  --help                   print this and exit\n"
	        "  --version                print the version and exit\n\n"
	        "Settings are read from the environment, then from .env in the working directory:\n\n");
	config_help(items, N_ITEMS, out);
	fprintf(out,
	        "\nSIGTERM and SIGINT: answer what has arrived, then exit 0; a second one exits at once.\n"
	        "SIGHUP: read API_TOKENS_FILE again.\n"
	        "Exit codes: 0 ended as asked, 1 cannot start or run, 2 wrong usage or settings.\n");
}

/* What libevent has to say: name servers without answer and the like. */
static void
on_event_log(int severity, const char *message)
{
	log_event(
	        severity >= EVENT_LOG_WARN ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "libevent", "message", message, NULL);
}

static void
on_drained(void *arg)
{
	struct program *program = arg;

	event_base_loopexit(program->base, NULL);
}

static void
on_give_up(evutil_socket_t fd, short what, void *arg)
{
	struct program *program = arg;

	(void) fd;
	(void) what;
	log_event(LOG_LEVEL_WARNING, "stopping with requests unanswered", NULL);
	event_base_loopbreak(program->base);
}

static void
on_stop(evutil_socket_t signo, short what, void *arg)
{
	struct program *program = arg;
	struct timeval limit = {(time_t) program->shutdown_timeout,
	        (suseconds_t) ((program->shutdown_timeout - (double) (time_t) program->shutdown_timeout) * 1e6)};

	(void) what;
	if (program->stopping) {
		on_give_up(-1, 0, program);
		return;
	}
	program->stopping = true;
	log_event(LOG_LEVEL_INFO, "stopping", "signal", signo == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
	event_add(program->give_up, &limit);
	http_server_drain(program->http, on_drained, program);
}

static void
on_reload(evutil_socket_t signo, short what, void *arg)
{
	struct program *program = arg;

	(void) signo;
	(void) what;
	guard_reload(program->guard);
}

/* Lets the process open as many files as it may need; returns how many clients that leaves room for. */
static long
allow_files(long clients, long db_connections)
{
	rlim_t needed = (rlim_t) (clients + db_connections + OTHER_FILES);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return clients;
	if (limit.rlim_cur < needed) {
		limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < needed) {
		long room = (long) limit.rlim_cur - db_connections - OTHER_FILES;

		room = room < 1 ? 1 : room;
		log_event(LOG_LEVEL_WARNING, "fewer connections than API_MAX_CONNECTIONS", "open_files",
		        LOG_NUM(limit.rlim_cur), "connections", LOG_NUM(room), NULL);
		return room;
	}
	return clients;
}

static void
on_refused(int status, void *arg)
{
	metrics_refused(((struct api *) arg)->metrics, status);
}

static int
run(const struct settings *settings, const struct listen_address *address)
{
	struct program program = {.shutdown_timeout = settings->shutdown_timeout};
	struct api api = {.max_body = (size_t) settings->max_body};
	struct http_options http = {.address = *address,
	        .max_header = MAX_HEADER,
	        .max_body = (size_t) settings->max_body,
	        .read_timeout = settings->read_timeout,
	        .common_headers = COMMON_HEADERS,
	        .handler = route_request,
	        .admit = route_admit,
	        .refused = on_refused,
	        .arg = &api};
	char *url = config_database_url(settings->database_url);
	struct db_options db = {url, settings->db_connections, settings->request_timeout};
	struct artifact_options store = {.s3 = strcmp(settings->blob_store, "s3") == 0,
	        .dir = settings->blob_dir,
	        .s3_endpoint = settings->s3_endpoint,
	        .s3_secure = settings->s3_secure,
	        .s3_bucket = settings->s3_bucket,
	        .s3_access_key = settings->s3_access_key,
	        .s3_secret_key = settings->s3_secret_key,
	        .s3_region = settings->s3_region,
	        .s3_virtual_host = strcmp(settings->s3_addressing, "virtual") == 0,
	        .s3_v2 = strcmp(settings->s3_signature, "v2") == 0};
	struct error err = {"out of memory"};
	char host[64];
	int rc = 1;

	http.max_connections = allow_files(settings->max_connections, settings->db_connections);
	event_set_log_callback(on_event_log);
	signal(SIGPIPE, SIG_IGN);

	program.base = event_base_new();
	if (!program.base || !url)
		goto out;
	program.sigterm = evsignal_new(program.base, SIGTERM, on_stop, &program);
	program.sigint = evsignal_new(program.base, SIGINT, on_stop, &program);
	program.sighup = evsignal_new(program.base, SIGHUP, on_reload, &program);
	program.give_up = evtimer_new(program.base, on_give_up, &program);
	if (!program.sigterm || !program.sigint || !program.sighup || !program.give_up)
		goto out;

	program.guard = api.guard = guard_new(settings->tokens_file, settings->allowed_hosts, &err);
	if (!api.guard) {
		rc = 2;
		goto out;
	}
	evsignal_add(program.sigterm, NULL);
	evsignal_add(program.sigint, NULL);
	evsignal_add(program.sighup, NULL);

	api.artifacts = artifacts_new(&store, &err);
	if (!api.artifacts) {
		rc = 2;
		goto out;
	}
	api.db = db_new(program.base, &db, &err);
	if (!api.db) {
		rc = 2;
		goto out;
	}
	api.waits = waits_new(program.base, api.db);
	api.metrics = metrics_new();
	if (!api.waits || !api.metrics)
		goto out;
	program.http = http_server_new(program.base, &http, &err);
	if (!program.http)
		goto out;
	api.server = program.http;
	log_event(LOG_LEVEL_INFO, "listening", "host", listen_host(address, host), "port",
	        LOG_NUM(http_server_port(program.http)), NULL);

	event_base_dispatch(program.base);
	rc = 0;
	log_event(LOG_LEVEL_INFO, "stopped", NULL);

out:
	if (rc != 0)
		log_event(LOG_LEVEL_ERROR, "cannot start", "reason", err.msg, NULL);
	waits_end(api.waits);
	db_free(api.db);
	waits_free(api.waits);
	artifacts_free(api.artifacts);
	http_server_free(program.http);
	/* Cancelled name look-ups are freed by callbacks. */
	if (program.base)
		event_base_loop(program.base, EVLOOP_NONBLOCK);
	if (program.sigterm)
		event_free(program.sigterm);
	if (program.sigint)
		event_free(program.sigint);
	if (program.sighup)
		event_free(program.sighup);
	if (program.give_up)
		event_free(program.give_up);
	if (program.base)
		event_base_free(program.base);
	guard_free(api.guard);
	metrics_free(api.metrics);
	free(url);
	return rc;
}

/* The rest of --hash-token NAME ROLE; the exit code. */
static int
hash_token(int argc, char **argv)
{
	char token[1024] = "";
	struct error err;
	char *line;

	if (argc != 2) {
		fprintf(stderr, PROGRAM ": --hash-token needs NAME and ROLE, and the token on standard input\n");
		return 2;
	}
	if (!fgets(token, sizeof(token), stdin))
		token[0] = '\0';
	token[strcspn(token, "\r\n")] = '\0';
	line = tokens_line(argv[0], argv[1], token, &err);
	if (!line) {
		fprintf(stderr, PROGRAM ": %s\n", err.msg);
		return 2;
	}
	fputs(line, stdout);
	free(line);
	return 0;
}

/* Who is reachable from elsewhere must know who calls, and not let tokens pass in clear text. */
static int
check_exposure(const struct settings *settings, const struct listen_address *address, struct error *err)
{
	char host[64];

	if (listen_is_loopback(address) || (*settings->tokens_file && settings->tls_terminated))
		return 0;
	return error_set(err,
	        "API_LISTEN is \"%s\" port %d, not a loopback address, and %s%s%s; either listen on 127.0.0.1 or ::1, or "
	        "set API_TOKENS_FILE (who may call) and API_TLS_TERMINATED=on (a proxy in front of it speaks TLS)",
	        listen_host(address, host), listen_port(address), *settings->tokens_file ? "" : "API_TOKENS_FILE is not set",
	        !*settings->tokens_file && !settings->tls_terminated ? " and " : "",
	        settings->tls_terminated ? "" : "API_TLS_TERMINATED is off");
}

/* -1: go on with `settings`; else the exit code. */
static int
parse_options(int argc, char **argv, bool *check_config)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},
	        {"check-config", no_argument, NULL, 'c'}, {"hash-token", no_argument, NULL, 't'},
	        {"routes", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf(PROGRAM " " JOBSCHED_VERSION "\n");
			return 0;
		case 'r':
			routes_print(stdout);
			return 0;
		case 't':
			return hash_token(argc - optind, argv + optind);
		case 'c':
			*check_config = true;
			break;
		default:
			fprintf(stderr, "Try \"" PROGRAM " --help\".\n");
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, PROGRAM ": unexpected argument \"%s\"\nTry \"" PROGRAM " --help\".\n", argv[optind]);
		return 2;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct settings settings = {0};
	struct listen_address address;
	enum log_level level = LOG_LEVEL_INFO;
	bool check_config = false;
	struct error err;
	int rc = parse_options(argc, argv, &check_config);

	if (rc >= 0)
		return rc;

	if (config_load(items, N_ITEMS, ".env", &settings, &err) < 0 ||
	        listen_parse(settings.listen, &address, &err) < 0 || check_exposure(&settings, &address, &err) < 0) {
		fprintf(stderr, PROGRAM ": %s\n", err.msg);
		config_free(items, N_ITEMS, &settings);
		return 2;
	}
	log_level_parse(settings.log_level, &level);
	log_setup(PROGRAM, level, strcmp(settings.log_format, "json") == 0);

	if (check_config) {
		config_print(items, N_ITEMS, &settings, stdout);
		rc = 0;
	} else {
		log_event(LOG_LEVEL_INFO, "starting", "version", JOBSCHED_VERSION, "pid", LOG_NUM(getpid()), NULL);
		rc = run(&settings, &address);
	}
	config_free(items, N_ITEMS, &settings);
	return rc;
}
