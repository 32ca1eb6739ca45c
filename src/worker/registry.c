/*
 * registry.c: the tasks that this worker knows.
 */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define NAME_MAX_BYTES 255

struct entry {
	const struct task_definition *definition;
	char *source; /* a copy; NULL: built in */
};

/* Constructors run without arguments, hence these. */
static struct task_registration *pending; /* registered, not yet accepted; the last one first */
static struct entry *entries;
static int nentries;

void
jobsched_task_register(struct task_registration *registration)
{
	registration->next = pending;
	pending = registration;
}

/* The entry of that name; or where it would stand, and then false. */
static bool
search(const char *name, int *at)
{
	int low = 0, high = nentries;

	while (low < high) {
		int middle = low + (high - low) / 2;
		int order = strcmp(name, entries[middle].definition->name);

		if (order == 0) {
			*at = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*at = low;
	return false;
}

static const char *
source_name(const char *source)
{
	return source ? source : "the worker itself";
}

static bool
name_allowed(const char *name)
{
	const unsigned char *p = (const unsigned char *) name, *end = p + strlen(name);

	if (p == end || end - p > NAME_MAX_BYTES)
		return false;
	while (p < end) {
		size_t n = utf8_sequence(p, end);

		if (n == 0 || *p < 0x20 || *p == 0x7F)
			return false;
		p += n;
	}
	return true;
}

int
registry_add(const struct task_definition *definition, const char *source, struct error *err)
{
	struct entry *more;
	char *copy;
	int at;

	/* First, since nothing else of a definition can be trusted otherwise. */
	if (definition->abi != JOBSCHED_TASK_ABI)
		return error_set(err,
		        "%s: it was built for version %u of the task interface, this worker has %u: build it again "
		        "with this worker's jobsched_task.h",
		        source_name(source), definition->abi, (unsigned) JOBSCHED_TASK_ABI);
	if (!definition->name || !name_allowed(definition->name))
		return error_set(err,
		        "%s: task name \"%s\": 1..%d bytes of UTF-8 without control characters are allowed",
		        source_name(source), definition->name ? definition->name : "", NAME_MAX_BYTES);
	if (!definition->run)
		return error_set(err, "%s: task %s has no function", source_name(source), definition->name);
	if (search(definition->name, &at))
		return error_set(err, "%s: task %s is there already, from %s", source_name(source), definition->name,
		        source_name(entries[at].source));
	more = realloc(entries, (size_t) (nentries + 1) * sizeof(*entries));
	if (!more)
		return error_set(err, "out of memory");
	entries = more;
	copy = source ? strdup(source) : NULL;
	if (source && !copy)
		return error_set(err, "out of memory");
	memmove(entries + at + 1, entries + at, (size_t) (nentries - at) * sizeof(*entries));
	entries[at] = (struct entry){.definition = definition, .source = copy};
	nentries++;
	return 0;
}

int
registry_accept(const char *source, struct error *err)
{
	int n = 0;

	for (; pending; pending = pending->next, n++) {
		if (registry_add(pending->definition, source, err) < 0)
			return -1;
	}
	return n;
}

int
registry_count(void)
{
	return nentries;
}

const struct task_definition *
registry_get(int number)
{
	return entries[number].definition;
}

int
registry_find(const char *name)
{
	int at;

	return search(name, &at) ? at : -1;
}

const char *
registry_names(char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < nentries && len < size; i++)
		len += (size_t) snprintf(buf + len, size - len, "%s%s", i ? ", " : "", entries[i].definition->name);
	return buf;
}

void
registry_print(FILE *out)
{
	for (int i = 0; i < nentries; i++) {
		const struct task_definition *d = entries[i].definition;

		fprintf(out, "%-12s %s", d->name, d->summary ? d->summary : "");
		if (entries[i].source)
			fprintf(out, "%s[%s]", d->summary ? " " : "", entries[i].source);
		fputc('\n', out);
	}
}
