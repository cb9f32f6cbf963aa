/* sandbox.c - see sandbox.h. glibc has no wrappers for Landlock's system calls. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config.h"
#include "util.h"

/* The rights of Landlock's first version (Linux 5.13), and those that came with 2 and 3. */
#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_WRITE                                                                               \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define RIGHTS_V1         ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define RIGHT_V2_REFER    (1ULL << 13)
#define RIGHT_V3_TRUNCATE (1ULL << 14)

static int allow(int ruleset, const char *folder, uint64_t rights) {
    auto_close int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return -errno;
    return 0;
}

int sandbox_file_system(const char *const *read, const char *write) {
    struct landlock_ruleset_attr attributes = {.handled_access_fs = RIGHTS_V1};
    auto_close int ruleset = -1;
    long version;
    int r;

    version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return errno == ENOSYS || errno == EPERM ? -EOPNOTSUPP : -errno;
    if (version >= 2)
        attributes.handled_access_fs |= RIGHT_V2_REFER;
    if (version >= 3)
        attributes.handled_access_fs |= RIGHT_V3_TRUNCATE;

    /* The first member alone: later ones are of no use here, and older kernels know none. */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes,
                           sizeof(attributes.handled_access_fs), 0);
    if (ruleset < 0)
        return -errno;
    for (; *read; read++) {
        r = allow(ruleset, *read, RIGHTS_READ);
        if (r < 0)
            return r;
    }
#ifdef __SANITIZE_ADDRESS__
    r = allow(ruleset, "/proc", RIGHTS_READ); /* LeakSanitizer looks there at the end */
    if (r < 0)
        return r;
#endif
    if (write) {
        r = allow(ruleset, write, RIGHTS_WRITE);
        if (r < 0)
            return r;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return -errno;
    return 0;
}

int sandbox_keep_config(const char *config_dir, const char *write) {
    const char *own[] = {config_dir, NULL}, *system[] = {CONFIG_ETC_DIR, CONFIG_VENDOR_DIR, NULL};

    return sandbox_file_system(config_dir ? own : system, write);
}
