/*
 * protocol.h: what worker, task server and children tell each other.  All are the same program, so that structs can go as
 * they are in memory; the worker nevertheless trusts no child, whose memory a task may have spoilt.
 */
#ifndef JOBSCHED_WORKER_ISOLATION_PROTOCOL_H
#define JOBSCHED_WORKER_ISOLATION_PROTOCOL_H

#include <stdint.h>
#include <sys/types.h>

#include "../jobsched_task.h"
#include "../task_context.h"
#include "error.h"
#include "uuid.h"

/* ---- worker and server: messages of a SOCK_SEQPACKET socket, which is this descriptor of the server ---- */

#define CONTROL_FD 3

enum control_type {
	/* the server says */
	CONTROL_READY, /* the plug-ins are loaded */
	CONTROL_FAILED, /* they are not: struct error follows, and the server ends */
	CONTROL_SPARE, /* a child waits: its pid, and its socket as SCM_RIGHTS */
	CONTROL_ENDED, /* a child has ended: struct control_end */
	CONTROL_TROUBLE, /* no child can be forked now: errno in `number` */
	/* the worker says */
	CONTROL_TAKEN, /* the child of that pid has a run: fork another */
	CONTROL_IDLE, /* it has done its run, and waits for another */
	CONTROL_KILL, /* kill it, with its group */
	CONTROL_LEASE /* the worker's lease holds until `until_us`: tasks may not outlive it much */
};

struct control {
	enum control_type type;
	pid_t pid;
	int number;
	int64_t until_us; /* clock_boottime_us() */
};

/* Why the server has killed a child by itself. */
enum control_reason {
	CONTROL_NO_REASON,
	CONTROL_PROCESSES, /* more than allowed */
	CONTROL_LAPSED /* the worker's lease is over, and the worker does nothing about it */
};

/* How a child ended, and what it used. */
struct control_end {
	struct control head;
	int status; /* as waitpid gives it */
	enum control_reason reason;
	int processes; /* CONTROL_PROCESSES: how many */
	int64_t peak_kib; /* resident memory */
	int64_t cpu_us;
};

struct control_failure {
	struct control head;
	struct error error;
};

/* ---- worker and child: frames (frames.h) ---- */

enum frame_type {
	/* the worker says */
	FRAME_RUN = 1, /* struct frame_run, name, payload */
	FRAME_STOP, /* nothing: the task should stop */
	FRAME_REPLY, /* struct frame_reply, error text or bytes */
	/* the child says; each but the first three has a reply */
	FRAME_RESULT, /* struct frame_result, result, error: and ends, or waits for another run */
	FRAME_PROGRESS, /* double percent, text */
	FRAME_REMEMBER, /* int64_t until_us, key, NUL, bytes (notes.h) */
	FRAME_RECALL, /* key */
	FRAME_CREATE, /* artifact name, NUL, content type or nothing */
	FRAME_WRITE, /* handle, bytes */
	FRAME_COMMIT, /* handle */
	FRAME_ABORT, /* handle */
	FRAME_OPEN, /* artifact name or key */
	FRAME_READ, /* struct frame_read */
	FRAME_CLOSE /* handle */
};

#define FRAME_PIECE (256 * 1024) /* largest part of an artifact in a frame, bytes */
#define FRAME_TEXT_MAX 4096 /* of a name, a key, a content type */
#define FRAME_ERROR_MAX (64 * 1024) /* of a run's error */

/* The largest frame of a child. */
#define FRAME_FROM_CHILD (sizeof(struct frame_result) + TASK_RESULT_MAX + FRAME_ERROR_MAX)

struct frame_run {
	char job_id[UUID_TEXT_SIZE];
	char run_at[TASK_RUN_AT_SIZE];
	char traceparent[TASK_TRACEPARENT_SIZE]; /* "": none */
	int attempt;
	int failures;
	int max_retries;
	double timeout;
	int64_t started_us; /* all processes of a machine have one boot clock */
	int64_t deadline_us;
	uint32_t name_size; /* with its NUL, as the payload's */
	uint32_t payload_size;
};

struct frame_result {
	int verdict; /* enum task_verdict */
	int more; /* 1: the process takes another run; 0: it ends */
	char reason[32];
	int64_t retry_us;
	uint32_t result_size; /* with its NUL; 0: there is none */
	uint32_t error_size;
};

struct frame_read {
	int handle;
	uint32_t size;
};

struct frame_reply {
	int64_t rc; /* of the call; a negative enum blob_result */
	uint64_t size; /* FRAME_OPEN: of the artifact; FRAME_RECALL: until_us */
	int handle;
};

#endif
