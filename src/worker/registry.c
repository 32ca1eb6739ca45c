/*
 * registry.c: the tasks that this worker knows.
 */
#include "registry.h"

#include <string.h>

#include "tasks/tasks.h"

static const struct task_definition *const builtin[] = { &crawl_url_task, &echo_task, &fail_task, &sleep_task };

#define NBUILTIN ((int) (sizeof(builtin) / sizeof(builtin[0])))

int
registry_count(void)
{
	return NBUILTIN;
}

const struct task_definition *
registry_get(int number)
{
	return builtin[number];
}

int
registry_find(const char *name)
{
	for (int i = 0; i < NBUILTIN; i++) {
		if (strcmp(builtin[i]->name, name) == 0)
			return i;
	}
	return -1;
}

const char *
registry_names(char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < NBUILTIN && len < size; i++)
		len += (size_t) snprintf(buf + len, size - len, "%s%s", i ? ", " : "", builtin[i]->name);
	return buf;
}

void
registry_print(FILE *out)
{
	for (int i = 0; i < NBUILTIN; i++)
		fprintf(out, "%-12s %s\n", builtin[i]->name, builtin[i]->summary);
}
