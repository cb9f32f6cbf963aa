/* What the sandbox leaves, tried in a child, since it is for ever. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox.h"
#include "util.h"

static char folder[] = "/tmp/dockwake-sandbox-XXXXXX";

static void path(char *to, size_t size, const char *name) {
    snprintf(to, size, "%s/%s", folder, name);
}

/* 0, or the number of the first expectation that does not hold. */
static int child(void) {
    char open_dir[64], hidden[64], readable[64], writable[64], created[64];
    const char *read[] = {open_dir, "/nonexistent", NULL};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int kept, fd;

    path(open_dir, sizeof(open_dir), "read");
    path(hidden, sizeof(hidden), "hidden");
    path(readable, sizeof(readable), "read/file");
    path(writable, sizeof(writable), "write");
    path(created, sizeof(created), "write/mark");
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", folder);
    kept = open(hidden, O_RDONLY | O_CLOEXEC);
    if (sandbox_file_system(read, writable) < 0)
        return 1;
    if (kept < 0 || lseek(kept, 0, SEEK_SET) < 0)
        return 2;
    fd = open(readable, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 3;
    if (open(readable, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 4;
    if (open(hidden, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 5;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 6;
    fd = open(created, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || unlink(created) < 0)
        return 7;
    if (unlink(hidden) == 0 || errno != EACCES)
        return 8;
    if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EACCES)
        return 9;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return 10;
    return 0;
}

static void leaves_what_was_named(void **state) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *none[] = {NULL};
    char name[64];
    int listener, status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0)
        _exit(sandbox_file_system(none, NULL) == -EOPNOTSUPP ? 77 : 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        skip();

    assert_non_null(mkdtemp(folder));
    path(name, sizeof(name), "read");
    assert_int_equal(mkdir(name, 0700), 0);
    path(name, sizeof(name), "write");
    assert_int_equal(mkdir(name, 0700), 0);
    path(name, sizeof(name), "hidden");
    safe_close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    path(name, sizeof(name), "read/file");
    safe_close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", folder);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 1), 0);

    pid = fork();
    if (pid == 0)
        _exit(child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    safe_close(listener);
    unlink(sa.sun_path);
    unlink(name);
    path(name, sizeof(name), "hidden");
    unlink(name);
    path(name, sizeof(name), "read");
    rmdir(name);
    path(name, sizeof(name), "write");
    rmdir(name);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_what_was_named)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
