/*
 * table.h - the apps and containers that the engine knows.
 *
 * For each app of the configuration there is a struct app; for a group there is one for each of its
 * members (NAME@1, NAME@2 ...), and none for the group itself; for a template there is none but for
 * those instances (NAME@INSTANCE) that somebody asks for or that are awake. Such an instance is made
 * when it is asked for, or when Docker tells of a running container that carries the template's
 * label and a name that fits, and is freed again when nobody uses it and its container does not run:
 * names that strangers make up cost nothing lasting. A container is there as long as an app of it.
 */
#pragma once

#include "engine.h"

enum { TABLE_INSTANCES_MAX = 1024 }; /* of all templates, at a time */

/*
 * Puts a configuration in force, and takes it over. Apps that stay on their container keep their
 * state and their leases, instances of templates too. Returns 0 or negative errno: then the table is
 * in pieces, the process has to end, and the configuration is still the caller's.
 */
int table_adopt(struct engine *engine, struct config *config);
void table_free(struct engine *engine);

/* NULL: there is none, or it is an instance that has not been made. */
struct app *engine_find_app(const struct engine *engine, const char *name);
struct container *engine_find_container(const struct engine *engine, const char *name);

/* The app of the configuration that a NAME@INSTANCE, or a scope (see below), is of. */
const struct config_app *table_stem(const struct config *config, const char *name);

/*
 * What a name stands for that engine_find_app() does not find: 0 for an instance of a template,
 * -ENOENT for none, -EINVAL for no name at all, -ENOEXEC when the template's file has errors.
 */
int table_check_instance(const struct engine *engine, const char *name);
/*
 * The app of this name; the instance of a template is made. Its container is looked at when it is
 * woken, or by container_look(). Errors as above, -EUSERS beyond TABLE_INSTANCES_MAX, -ENOMEM.
 */
int table_get(struct engine *engine, const char *name, struct app **ret_app);
/* The same for the instance that a container is, by its label; does nothing where it is none. */
void table_notice(struct engine *engine, const char *container, const char *label);

/* It may have become useless: it is freed after this round of the event loop if it has. */
void table_suspect(struct app *app);
void table_sweep(struct engine *engine);

/*
 * A scope is a set of apps: "" are all, "NAME@" the instances of a group or template, else it is one
 * app's name. table_next() goes through one in order: the first behind the name after, "" at first.
 */
enum { TABLE_SCOPE_MAX = PROTO_NAME_MAX + 1 };
struct app *table_next(const struct engine *engine, const char *scope, const char *after);
/*
 * The scope that a person means by a name. An instance is made. Errors as those of table_get().
 */
int table_scope(struct engine *engine, const char *name, char ret_scope[static TABLE_SCOPE_MAX]);
/* Whether the scope is that of a template. */
bool table_is_template(const struct engine *engine, const char *scope);
