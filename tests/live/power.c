/* Preloaded into a process, keeps what a power loss would leave of the folder $POWER_FOLDER:
   in $POWER_IMAGE the content of each file as of its last sync, named by its inode, and in `names`
   the folder's entries as of the folder's own last sync. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep_names(const char *folder, const char *image) {
    char path[4096];
    snprintf(path, sizeof path, "%s/names", image);
    FILE *names = fopen(path, "w");
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_type == DT_REG)
            fprintf(names, "%llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
    closedir(entries);
    fclose(names);
}

static void keep_content(int fd, const char *path, const char *image, unsigned long long inode) {
    char copy[4096], part[65536];
    snprintf(copy, sizeof copy, "%s/%llu", image, inode);
    /* A second handle only where this one cannot read: closing one gives up SQLite's locks. */
    int from = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY ? open(path, O_RDONLY) : fd;
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    off_t at = 0;
    for (ssize_t got; (got = pread(from, part, sizeof part, at)) > 0; at += got)
        if (write(to, part, got) != got) abort();
    close(to);
    if (from != fd) close(from);
}

static void keep(int fd) {
    const char *folder = getenv("POWER_FOLDER"), *image = getenv("POWER_IMAGE");
    char link[64], path[4096];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || fstat(fd, &status) || !folder || strncmp(path, folder, strlen(folder))) return;
    path[length] = 0;
    if (S_ISREG(status.st_mode)) keep_content(fd, path, image, status.st_ino);
    else if (!strcmp(path, folder)) keep_names(folder, image);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    if (!result) keep(fd);
    return result;
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    if (!result) keep(fd);
    return result;
}
