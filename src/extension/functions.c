/*
 * functions.c: small functions for the extension's script: ids, hashes, identity, configured values.
 */
#include "jobsched.h"

#include <sys/time.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "functions.h"
#include "shmem.h"

JS_FUNCTION(js_uuid_v7);
JS_FUNCTION(js_slot_of);
JS_FUNCTION(js_segment_of);
JS_FUNCTION(js_task_hash);
JS_FUNCTION(js_caller);
JS_FUNCTION(js_is_own_change);
JS_FUNCTION(js_system_identifier);
JS_FUNCTION(js_preloaded);
JS_FUNCTION(js_worker_lease);
JS_FUNCTION(js_max_losses);
JS_FUNCTION(js_max_payload_bytes);
JS_FUNCTION(js_retry_delay);
JS_FUNCTION(js_retry_delay_max);
JS_FUNCTION(js_retention_interval);
JS_FUNCTION(js_retention_failed_interval);
JS_FUNCTION(js_default_queue);
JS_FUNCTION(js_default_time_zone);

#define RAND_B_BITS 62
#define RAND_B_MASK ((UINT64CONST(1) << RAND_B_BITS) - 1)

/*
 * Monotonic within a backend for one slot (RFC 9562, 6.2, method 2): while the clock stands still or has gone back, the
 * previous time is kept and rand_b grows by a random amount.
 */
void
functions_new_id(int slot, pg_uuid_t *uuid)
{
	static uint64 last_ms = 0;
	static uint8 last_rand_a = 0;
	static uint64 last_rand_b = 0;
	struct timeval now;
	uint64		ms;
	struct
	{
		uint64		b;
		uint8		a;
	}			random;

	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));

	gettimeofday(&now, NULL);
	ms = (uint64) now.tv_sec * 1000 + (uint64) now.tv_usec / 1000;
	if (ms <= last_ms)
	{
		/* A step of up to 2^32 keeps the value unpredictable and leaves room for 2^29 of them. */
		last_rand_b += 1 + (random.b & PG_UINT32_MAX);
		if (last_rand_b > RAND_B_MASK)
		{
			last_ms++;
			last_rand_b = random.b >> 3;
		}
	}
	else
	{
		last_ms = ms;
		last_rand_a = random.a;
		last_rand_b = random.b >> 3;	/* 61 bits: room to grow */
	}

	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (last_ms >> (40 - 8 * i));
	uuid->data[6] = (unsigned char) (0x70 | slot);
	uuid->data[7] = last_rand_a;
	for (int i = 0; i < 8; i++)
		uuid->data[8 + i] = (unsigned char) (last_rand_b >> (56 - 8 * i));
	uuid->data[8] |= 0x80;
}

/* js_uuid_v7(slot integer) */
Datum
js_uuid_v7(PG_FUNCTION_ARGS)
{
	int32		slot = PG_GETARG_INT32(0);
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	if (slot < 0 || slot > 15)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("slot %d is out of range 0-15", slot));
	functions_new_id(slot, uuid);
	PG_RETURN_UUID_P(uuid);
}

int
functions_slot_of(const pg_uuid_t *uuid)
{
	return uuid->data[6] & 0x0F;
}

Datum
js_slot_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16((int16) functions_slot_of(PG_GETARG_UUID_P(0)));
}

Datum
js_segment_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(functions_segment_of(PG_GETARG_UUID_P(0)));
}

/* FNV-1a, 32 bits: it is stored, so it must be the same on every machine. */
int32
functions_task_hash(const char *name, int len)
{
	uint32		hash = 2166136261U;

	for (int i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) name[i]) * 16777619U;
	return (int32) hash;
}

Datum
js_task_hash(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(functions_task_hash(VARDATA_ANY(name), (int) VARSIZE_ANY_EXHDR(name)));
}

/* The role that the caller acts as: SET ROLE counts, SECURITY DEFINER does not. */
Datum
js_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(GetUserNameFromId(GetOuterUserId(), false)));
}

/* Was a row, whose xmin this is, written by this very transaction? */
Datum
js_is_own_change(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TransactionIdIsCurrentTransactionId(PG_GETARG_TRANSACTIONID(0)));
}

Datum
js_system_identifier(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT, GetSystemIdentifier())));
}

Datum
js_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(js_shared != NULL);
}

static Interval *
interval_from_us(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return interval;
}

Datum
js_worker_lease(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_from_us(js_worker_lease_ms * JS_USEC_PER_MS));
}

Datum
js_retry_delay(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_from_us(js_retry_delay_ms * JS_USEC_PER_MS));
}

Datum
js_retry_delay_max(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_from_us(js_retry_delay_max_ms * JS_USEC_PER_MS));
}

Datum
js_retention_interval(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_from_us(js_retention * USECS_PER_SEC));
}

Datum
js_retention_failed_interval(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_from_us(js_retention_failed * USECS_PER_SEC));
}

Datum
js_max_losses(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(js_max_losses_limit);
}

Datum
js_max_payload_bytes(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(js_max_payload);
}

Datum
js_default_queue(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(js_queue));
}

Datum
js_default_time_zone(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(js_time_zone));
}
