/*
 * settings.h: the worker's configuration, from the environment and .env.
 */
#ifndef JOBSCHED_WORKER_SETTINGS_H
#define JOBSCHED_WORKER_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "address.h"
#include "error.h"
#include "exec_file.h"
#include "log.h"

struct settings {
	/* as configured */
	char *database_url;
	char *rabbitmq_url;
	char *rabbitmq_queue;
	long rabbitmq_prefetch;
	long threads;
	char *worker_id;
	double heartbeat;			/* seconds */
	char *log_level_name;
	char *log_format;
	double shutdown_timeout;	/* seconds */
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
	double s3_timeout;			/* seconds */
	long s3_retries;
	char *crawl_allow_private;
	char *metrics_listen;
	char *task_path;
	char *exec_tasks_file;
	double task_timeout;		/* seconds; 0: no limit */
	char *crawl_user_agent;

	/* made of them */
	char *dsn;					/* for libpq */
	char **queues;				/* nqueues names */
	int nqueues;
	int prefetch;				/* unacknowledged deliveries a queue */
	enum log_level log_level;
	bool log_json;
	struct address_list allowed;
	struct exec_commands commands;
};

/* Reads and checks everything; the message names the variable.  settings is zeroed by the caller. */
int settings_load(struct settings *s, struct error *err);
void settings_free(struct settings *s);

/* The lines of --help and --check-config. */
void settings_help(FILE *out);
void settings_print(const struct settings *s, FILE *out);

#endif
