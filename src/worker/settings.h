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
	char *task_isolation;
	double task_grace;			/* seconds */
	long max_memory;			/* MiB; 0: no limit */
	long max_cpu;				/* seconds; 0: no limit */
	long max_processes;			/* besides its own */
	long runs_per_process;
	char *crawl_user_agent;

	/* made of them */
	char *dsn;					/* for libpq */
	char **queues;				/* nqueues names */
	int nqueues;
	int prefetch;				/* unacknowledged deliveries a queue */
	enum log_level log_level;
	bool log_json;
	bool isolated;				/* TASK_ISOLATION=process */
	struct address_list allowed;
	struct exec_commands commands;
};

/* Reads and checks everything; the message names the variable.  settings is zeroed by the caller. */
int settings_load(struct settings *s, struct error *err);
void settings_free(struct settings *s);

/*
 * The same for the task server, in the environment that settings_environment made for it: this one's, without what is
 * secret, with what .env says.  There it is complete but for connections, blob store and commands.
 */
int settings_load_for_tasks(struct settings *s, struct error *err);
char **settings_environment(const struct settings *s); /* NULL when out of memory */
void settings_environment_free(char **environment);

/* The lines of --help and --check-config. */
void settings_help(FILE *out);
void settings_print(const struct settings *s, FILE *out);

#endif
