/*
 * settings.c: the worker's configuration.
 */
#include "settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "artifact_store.h"
#include "broker.h"
#include "config.h"
#include "exporter.h"
#include "robots.h"

#define FIELD(name)	offsetof(struct settings, name)

static const struct config_item items[] = {
	{ .name = "DATABASE_URL", .type = CONFIG_TEXT, .def = "postgresql:///postgres",
	  .secret = true, .offset = FIELD(database_url),
	  .help = "PostgreSQL, a libpq URL or conninfo; the role needs jobsched_worker" },
	{ .name = "RABBITMQ_URL", .type = CONFIG_TEXT, .def = "amqp://guest:guest@127.0.0.1:5672/",
	  .secret = true, .offset = FIELD(rabbitmq_url),
	  .help = "RabbitMQ, amqp://user:password@host:port/vhost (amqps:// for TLS)" },
	{ .name = "RABBITMQ_QUEUE", .type = CONFIG_TEXT, .def = "jobs", .offset = FIELD(rabbitmq_queue),
	  .help = "job queues to work for, separated by commas" },
	{ .name = "RABBITMQ_PREFETCH", .type = CONFIG_INT, .def = "0",
	  .min = 0, .max = 65535, .offset = FIELD(rabbitmq_prefetch),
	  .help = "messages held unacknowledged a queue; 0: twice MAX_CONCURRENCY, at least 8" },
	{ .name = "MAX_CONCURRENCY", .type = CONFIG_INT, .def = "4",
	  .min = 1, .max = 1000, .offset = FIELD(threads),
	  .help = "tasks run at the same time (threads)" },
	{ .name = "WORKER_ID", .type = CONFIG_TEXT, .def = "w-local", .offset = FIELD(worker_id),
	  .help = "label of this worker in the database, 1..255 characters" },
	{ .name = "HEARTBEAT_INTERVAL", .type = CONFIG_SECONDS, .def = "3",
	  .min = 0.1, .max = 3600, .offset = FIELD(heartbeat),
	  .help = "seconds between heartbeats; at most a third of jobsched.worker_lease is used" },
	{ .name = "SHUTDOWN_TIMEOUT", .type = CONFIG_SECONDS, .def = "30",
	  .min = 0, .max = 86400, .offset = FIELD(shutdown_timeout),
	  .help = "seconds that running tasks get to end after SIGTERM" },
	{ .name = "BLOB_STORE", .type = CONFIG_CHOICE, .def = "file",
	  .choices = "file|s3", .offset = FIELD(blob_store),
	  .help = "where artifacts are kept: a directory, or a bucket of an S3 server" },
	{ .name = "BLOB_DIR", .type = CONFIG_TEXT, .def = "artifacts", .offset = FIELD(blob_dir),
	  .help = "directory of BLOB_STORE=file, made when absent" },
	{ .name = "S3_ENDPOINT", .alias = "MINIO_ENDPOINT", .type = CONFIG_TEXT, .def = "", .offset = FIELD(s3_endpoint),
	  .help = "host, host:port or URL of the S3 server; empty: AWS in S3_REGION" },
	{ .name = "S3_SECURE", .alias = "MINIO_SECURE", .type = CONFIG_BOOL, .def = "true", .offset = FIELD(s3_secure),
	  .help = "https, when S3_ENDPOINT is no URL" },
	{ .name = "S3_BUCKET", .alias = "MINIO_BUCKET", .type = CONFIG_TEXT, .def = "", .offset = FIELD(s3_bucket),
	  .help = "an existing bucket" },
	{ .name = "S3_ACCESS_KEY", .alias = "MINIO_ACCESS_KEY", .type = CONFIG_TEXT, .def = "",
	  .offset = FIELD(s3_access_key),
	  .help = "access key, which may write, read and (better) list there" },
	{ .name = "S3_SECRET_KEY", .alias = "MINIO_SECRET_KEY", .type = CONFIG_TEXT, .def = "",
	  .secret = true, .offset = FIELD(s3_secret_key),
	  .help = "its secret" },
	{ .name = "S3_REGION", .alias = "MINIO_REGION", .type = CONFIG_TEXT, .def = "us-east-1",
	  .offset = FIELD(s3_region),
	  .help = "region that the signature names" },
	{ .name = "S3_ADDRESSING", .type = CONFIG_CHOICE, .def = "path",
	  .choices = "path|virtual", .offset = FIELD(s3_addressing),
	  .help = "path: host/bucket/key; virtual: bucket.host/key" },
	{ .name = "S3_SIGNATURE", .type = CONFIG_CHOICE, .def = "v4",
	  .choices = "v4|v2", .offset = FIELD(s3_signature),
	  .help = "Signature version; v2 for servers that know no other" },
	{ .name = "S3_TIMEOUT", .type = CONFIG_SECONDS, .def = "30",
	  .min = 1, .max = 3600, .offset = FIELD(s3_timeout),
	  .help = "seconds without a byte until a request to the S3 server is given up" },
	{ .name = "S3_RETRIES", .type = CONFIG_INT, .def = "4",
	  .min = 0, .max = 20, .offset = FIELD(s3_retries),
	  .help = "how often a request is sent again that failed for a reason that may pass" },
	{ .name = "JOBSCHED_TASK_PATH", .type = CONFIG_TEXT, .def = "", .offset = FIELD(task_path),
	  .help = "directory of shared objects with more tasks; only root and the worker's user may write to it" },
	{ .name = "EXEC_TASKS_FILE", .type = CONFIG_TEXT, .def = "", .offset = FIELD(exec_tasks_file),
	  .help = "file that lists the commands that are tasks (JSON); only root and the worker's user may write to it" },
	{ .name = "TASK_TIMEOUT", .type = CONFIG_SECONDS, .def = "0",
	  .min = 0, .max = 31536000, .offset = FIELD(task_timeout),
	  .help = "seconds that a task may run when its job has no timeout; 0: no limit" },
	{ .name = "TASK_ISOLATION", .type = CONFIG_CHOICE, .def = "thread",
	  .choices = "thread|process", .offset = FIELD(task_isolation),
	  .help = "where tasks run: on threads of the worker, or each run in a process of its own" },
	{ .name = "TASK_GRACE", .type = CONFIG_SECONDS, .def = "5",
	  .min = 0, .max = 3600, .offset = FIELD(task_grace),
	  .help = "process: seconds between telling a task to stop and killing it" },
	{ .name = "TASK_MAX_MEMORY", .type = CONFIG_INT, .def = "0",
	  .min = 0, .max = 1048576, .offset = FIELD(max_memory),
	  .help = "process: MiB of memory that each process of a run may add; 0: no limit" },
	{ .name = "TASK_MAX_CPU", .type = CONFIG_INT, .def = "0",
	  .min = 0, .max = 31536000, .offset = FIELD(max_cpu),
	  .help = "process: seconds of CPU time that each process of a run may use; 0: no limit" },
	{ .name = "TASK_MAX_PROCESSES", .type = CONFIG_INT, .def = "64",
	  .min = 0, .max = 100000, .offset = FIELD(max_processes),
	  .help = "process: processes that a run may have started and that run at the same time" },
	{ .name = "TASK_RUNS_PER_PROCESS", .type = CONFIG_INT, .def = "1",
	  .min = 1, .max = 1000000, .offset = FIELD(runs_per_process),
	  .help = "process: runs that a process serves, one after the other, before it ends" },
	{ .name = "METRICS_LISTEN", .type = CONFIG_TEXT, .def = "", .offset = FIELD(metrics_listen),
	  .help = "address and port for /metrics and /healthz, such as 127.0.0.1:9187; empty: none" },
	{ .name = "CRAWL_ALLOW_PRIVATE", .type = CONFIG_TEXT, .def = "", .offset = FIELD(crawl_allow_private),
	  .help = "private networks that crawl_url and http_request may visit, CIDR, separated by commas" },
	{ .name = "CRAWL_USER_AGENT", .type = CONFIG_TEXT, .def = "jobsched/1.0", .offset = FIELD(crawl_user_agent),
	  .help = "what they call themselves; robots.txt knows them by its first word, up to a slash" },
	{ .name = "LOG_LEVEL", .type = CONFIG_CHOICE, .def = "INFO",
	  .choices = "DEBUG|INFO|WARNING|ERROR", .offset = FIELD(log_level_name),
	  .help = "lines of this level and above" },
	{ .name = "LOG_FORMAT", .type = CONFIG_CHOICE, .def = "text",
	  .choices = "text|json", .offset = FIELD(log_format),
	  .help = "text: key=value; json: one object a line" },
};

#define NITEMS	(sizeof(items) / sizeof(items[0]))

/* As the database accepts labels; it counts characters, so that no more bytes than 4 times as many fit. */
static int
check_name(const char *variable, const char *name, size_t max, struct error *err)
{
	size_t len = 0;

	for (const char *p = name; *p; p++) {
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			return error_set(err, "%s=%s: control characters are not allowed", variable, name);
		len += ((unsigned char) *p & 0xC0) != 0x80;
	}
	if (len == 0 || len > max)
		return error_set(err, "%s=%s: 1..%zu characters are allowed", variable, name, max);
	return 0;
}

/* A line of HTTP that begins with what robots.txt may name: letters, "-" and "_", then a slash, a blank or nothing. */
static int
check_user_agent(const char *name, struct error *err)
{
	size_t token = robots_token_length(name);

	if (token == 0 || !strchr("/ ", name[token]) || strlen(name) > 200)
		return error_set(err, "CRAWL_USER_AGENT=%.200s: a name such as acme-bot/1.0 (+https://example.com/bot), at most "
						 "200 bytes, is allowed", name);
	for (const char *p = name; *p; p++) {
		if (*p < ' ' || *p > '~')
			return error_set(err, "CRAWL_USER_AGENT=%s: only printable ASCII is allowed", name);
	}
	return 0;
}

static int
split_queues(struct settings *s, struct error *err)
{
	char *copy = strdup(s->rabbitmq_queue), *state = NULL;
	int rc = -1;

	s->nqueues = 0;
	s->queues = calloc(strlen(s->rabbitmq_queue) / 2 + 1, sizeof(*s->queues));
	if (!copy || !s->queues) {
		error_set(err, "out of memory");
		goto out;
	}
	for (char *name = strtok_r(copy, ", \t", &state); name; name = strtok_r(NULL, ", \t", &state)) {
		/* 255 bytes is AMQP's limit */
		if (strlen(name) > 255) {
			error_set(err, "RABBITMQ_QUEUE=%s: a name is longer than 255 bytes", s->rabbitmq_queue);
			goto out;
		}
		if (check_name("RABBITMQ_QUEUE", name, 255, err) < 0)
			goto out;
		for (int i = 0; i < s->nqueues; i++) {
			if (strcmp(s->queues[i], name) == 0) {
				error_set(err, "RABBITMQ_QUEUE=%s: %s is there twice", s->rabbitmq_queue, name);
				goto out;
			}
		}
		s->queues[s->nqueues] = strdup(name);
		if (!s->queues[s->nqueues]) {
			error_set(err, "out of memory");
			goto out;
		}
		s->nqueues++;
	}
	if (s->nqueues == 0) {
		error_set(err, "RABBITMQ_QUEUE=%s: at least one queue is needed", s->rabbitmq_queue);
		goto out;
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

/* A limit that would not hold is worse than none. */
static int
check_isolation(struct settings *s, struct error *err)
{
	s->isolated = strcmp(s->task_isolation, "process") == 0;
	if (!s->isolated && (s->max_memory > 0 || s->max_cpu > 0))
		return error_set(err, "%s=%ld: threads have no limits: TASK_ISOLATION=process is needed, or 0",
						 s->max_memory > 0 ? "TASK_MAX_MEMORY" : "TASK_MAX_CPU",
						 s->max_memory > 0 ? s->max_memory : s->max_cpu);
	return 0;
}

/* What worker and task server have in common. */
static int
make_common(struct settings *s, struct error *err)
{
	struct error why = { "" };

	if (address_list_parse(s->crawl_allow_private, &s->allowed, &why) < 0)
		return error_set(err, "CRAWL_ALLOW_PRIVATE=%s: %s; networks such as 127.0.0.0/8,::1 are allowed",
						 s->crawl_allow_private, why.msg);
	log_level_parse(s->log_level_name, &s->log_level);
	s->log_json = strcmp(s->log_format, "json") == 0;
	return check_isolation(s, err);
}

int
settings_load_for_tasks(struct settings *s, struct error *err)
{
	return config_load(items, NITEMS, NULL, s, err) < 0 ? -1 : make_common(s, err);
}

char **
settings_environment(const struct settings *s)
{
	return config_environment(items, NITEMS, s);
}

void
settings_environment_free(char **environment)
{
	config_environment_free(environment);
}

int
settings_load(struct settings *s, struct error *err)
{
	struct error why = { "" };
	struct broker_url broker;
	int rc;

	if (config_load(items, NITEMS, ".env", s, err) < 0)
		return -1;
	if (check_name("WORKER_ID", s->worker_id, 255, err) < 0 || split_queues(s, err) < 0)
		return -1;
	if (make_common(s, err) < 0 || check_user_agent(s->crawl_user_agent, err) < 0)
		return -1;
	if (*s->exec_tasks_file && exec_file_load(s->exec_tasks_file, &s->commands, &why) < 0)
		return error_set(err, "EXEC_TASKS_FILE=%s: %s", s->exec_tasks_file, why.msg);
	if (exporter_check(s->metrics_listen, &why) < 0)
		return error_set(err, "METRICS_LISTEN=%s: %s", s->metrics_listen, why.msg);
	rc = broker_url_parse(s->rabbitmq_url, &broker, err);
	broker_url_free(&broker);
	if (rc < 0)
		return -1;
	s->dsn = config_database_url(s->database_url);
	if (!s->dsn)
		return error_set(err, "out of memory");
	if (artifact_store_check_settings(s, err) < 0)
		return -1;
	s->prefetch = (int) s->rabbitmq_prefetch;
	if (s->prefetch == 0)
		s->prefetch = s->threads < 4 ? 8 : (int) s->threads * 2;
	return 0;
}

void
settings_free(struct settings *s)
{
	for (int i = 0; i < s->nqueues; i++)
		free(s->queues[i]);
	free(s->queues);
	free(s->dsn);
	address_list_free(&s->allowed);
	exec_commands_free(&s->commands);
	config_free(items, NITEMS, s);
	memset(s, 0, sizeof(*s));
}

void
settings_help(FILE *out)
{
	config_help(items, NITEMS, out);
}

void
settings_print(const struct settings *s, FILE *out)
{
	config_print(items, NITEMS, s, out);
}
