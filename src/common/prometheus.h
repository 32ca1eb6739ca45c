/*
 * prometheus.h: the text format of Prometheus (version 0.0.4), written line by line.
 */
#ifndef JOBSCHED_PROMETHEUS_H
#define JOBSCHED_PROMETHEUS_H

#include <stdint.h>
#include <stdio.h>

/* HELP and TYPE of a metric, before its first line; type: counter, gauge or histogram. */
void prometheus_head(FILE *out, const char *name, const char *type, const char *help);

/* A metric without labels. */
void prometheus_counter(FILE *out, const char *name, const char *help, uint64_t n);
void prometheus_gauge(FILE *out, const char *name, const char *help, double value);

/* label="value", escaped as the format wants it. */
void prometheus_label(FILE *out, const char *name, const char *value);

/* Puts a value into the one of n buckets that it belongs to, and adds it to *sum.  limits: the upper limits of all but the last. */
void prometheus_observe(uint64_t *buckets, const double *limits, int n, double *sum, double value);

/*
 * The lines of a histogram, none when nothing was observed; labels is what they have in common, without braces.  buckets: as
 * prometheus_observe() fills them, not yet added up.
 */
void prometheus_histogram(FILE *out, const char *name, const char *labels, const uint64_t *buckets, const double *limits,
        int n, double sum);

/* process_resident_memory_bytes and process_cpu_seconds_total of this process. */
void prometheus_process(FILE *out);

#endif
