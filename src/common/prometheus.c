#include "prometheus.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

void
prometheus_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
prometheus_counter(FILE *out, const char *name, const char *help, uint64_t n)
{
	prometheus_head(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, n);
}

void
prometheus_gauge(FILE *out, const char *name, const char *help, double value)
{
	prometheus_head(out, name, "gauge", help);
	fprintf(out, "%s %.15g\n", name, value);
}

void
prometheus_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

void
prometheus_observe(uint64_t *buckets, const double *limits, int n, double *sum, double value)
{
	int bucket = 0;

	while (bucket < n - 1 && value > limits[bucket])
		bucket++;
	buckets[bucket]++;
	*sum += value;
}

void
prometheus_histogram(FILE *out, const char *name, const char *labels, const uint64_t *buckets, const double *limits,
        int n, double sum)
{
	uint64_t count = 0, all = 0;

	for (int i = 0; i < n; i++)
		count += buckets[i];
	if (count == 0)
		return;
	for (int i = 0; i < n; i++) {
		all += buckets[i];
		fprintf(out, "%s_bucket{%s,le=\"", name, labels);
		if (i < n - 1)
			fprintf(out, "%g\"} %" PRIu64 "\n", limits[i], all);
		else
			fprintf(out, "+Inf\"} %" PRIu64 "\n", all);
	}
	fprintf(out, "%s_sum{%s} %.9g\n%s_count{%s} %" PRIu64 "\n", name, labels, sum, name, labels, all);
}

void
prometheus_process(FILE *out)
{
	struct rusage used;
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm) {
		if (fscanf(statm, "%*s %ld", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	prometheus_gauge(out, "process_resident_memory_bytes", "Resident memory.",
	        (double) pages * (double) sysconf(_SC_PAGESIZE));
	if (getrusage(RUSAGE_SELF, &used) == 0) {
		prometheus_head(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.");
		fprintf(out, "process_cpu_seconds_total %.6f\n",
		        (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		                (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	}
}
