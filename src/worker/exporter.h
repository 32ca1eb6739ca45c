/*
 * exporter.h: serves what a worker tells about itself over HTTP: /metrics for Prometheus, /healthz for supervisors.
 */
#ifndef JOBSCHED_WORKER_EXPORTER_H
#define JOBSCHED_WORKER_EXPORTER_H

#include "error.h"
#include "hub.h"

struct exporter {
	struct hub *hub;
	const char *worker_id;		/* not copied */
	struct MHD_Daemon *daemon;	/* NULL: not started */
};

/* Is it a numeric address with a port, or empty?  The message does not name the variable. */
int exporter_check(const char *listen, struct error *err);

/* listen: "127.0.0.1:9187", "[::]:9187"; "": nothing is served.  A thread of its own answers. */
int exporter_start(struct exporter *e, struct hub *h, const char *listen, const char *worker_id, struct error *err);
void exporter_stop(struct exporter *e);

#endif
