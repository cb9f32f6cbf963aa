/*
 * sandbox.h - the process gives up the file system.
 *
 * The units take capabilities, address families and system calls away before the program starts.
 * The file system is given up here, by Landlock (landlock(7)), once the configuration has been read
 * and before a stranger's byte is: ProtectSystem=, PrivateTmp= and their like would build a mount
 * namespace first, which every start of a process that lives for seconds pays for, and whoever
 * waits for it. Landlock takes microseconds and leaves less: nothing but the folders named can be
 * read, nothing at all executed.
 */
#pragma once

/*
 * From now on only files below the folders in read (NULL-terminated) can be read, and only those
 * below write (NULL: none) be created, written and removed; folders that do not exist are passed
 * over. Sockets that are connected to, and descriptors open already, are not affected. Sets
 * no_new_privs. Returns 0; -EOPNOTSUPP where the kernel has no Landlock or it is switched off;
 * landlock_restrict_self(2)'s and open(2)'s other errors.
 */
int sandbox_file_system(const char *const *read, const char *write);

/*
 * The same for a process that reads the configuration again when it is told to: it keeps config_dir
 * (NULL: the system's own folders), and write as above.
 */
int sandbox_keep_config(const char *config_dir, const char *write);
