// execve and execveat: what fails while the caller is still there to hear of it, and the names of programs found by descriptor.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *image, *arguments[] = {"called", "name", 0};
static size_t size;

// Starts the file `name` with these contents in a child.
static void try(const char *what, const void *contents, size_t len, mode_t mode) {
    char name[] = "/tmp/mimic-execs-XXXXXX";
    int fd = mkstemp(name);
    write(fd, contents, len);
    fchmod(fd, mode);
    close(fd);
    int status;
    pid_t child = fork();
    if (child == 0) {
        execv(name, arguments);
        printf("%s: %s\n", what, strerror(errno));
        _exit(7);
    }
    waitpid(child, &status, 0);
    unlink(name);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) printf("%s: status %#x\n", what, status);
}

// Gives the program at `to` the interpreter `name`, in place of a note and behind everything else; its new size.
static size_t with_interpreter(char *to, const char *name, size_t len) {
    memcpy(to, image, size);
    memcpy(to + size, name, len);
    Elf64_Phdr *segment = (Elf64_Phdr *)(to + ((Elf64_Ehdr *)to)->e_phoff);
    while (segment->p_type != PT_NOTE) segment++;
    *segment = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = size, .p_filesz = len};
    return size + len;
}

static int by_descriptor(int folder, const char *name, int flags) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_execveat, folder, name, arguments, 0, flags);
        printf("execveat: %s\n", strerror(errno));
        _exit(7);
    }
    waitpid(child, &status, 0);
    return status;
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IOLBF, 0);
    if (argc > 1) {
        char own[500] = "";
        readlink("/proc/self/exe", own, 499);
        int fd = open("/dev/null", O_RDONLY);
        printf("%s: %s, a program %d, next descriptor %d\n", argv[0], (char *)getauxval(AT_EXECFN), access(own, X_OK) == 0, fd);
        return 0;
    }
    int fd = open("/proc/self/exe", O_RDONLY);
    struct stat info;
    fstat(fd, &info);
    size = info.st_size;
    image = malloc(size);
    pread(fd, image, size, 0);
    close(fd);
    char *changed = malloc(size + 5000);

    try("empty", "", 0, 0700);
    try("short", "\x7f" "ELF", 4, 0700);
    try("header alone", image, 64, 0700);
    try("half of the segments", image, 100, 0700);
    memcpy(changed, image, size);
    ((Elf64_Ehdr *)changed)->e_type = ET_REL;
    try("relocatable", changed, size, 0700);
    memcpy(changed, image, size);
    ((Elf64_Ehdr *)changed)->e_machine = EM_SPARCV9;
    try("another machine", changed, size, 0700);
    memcpy(changed, image, size);
    ((Elf64_Ehdr *)changed)->e_phentsize = 8;
    try("small segments", changed, size, 0700);
    try("not to be executed", image, size, 0600);
    try("no interpreter", changed, with_interpreter(changed, "/nowhere/ld.so", 15), 0700);
    try("an interpreter without end", changed, with_interpreter(changed, "/nowhere/ld.so", 14), 0700);
    try("an interpreter that is a text", changed, with_interpreter(changed, "/etc/passwd", 12), 0700);
    try("an interpreter that is a folder", changed, with_interpreter(changed, "/tmp", 5), 0700);
    try("a script for nobody", "#!/nowhere/sh\n", 14, 0700);
    try("a script without interpreter", "#!\n", 3, 0700);

    char folder_name[] = "/tmp/mimic-execs-XXXXXX";
    mkdtemp(folder_name);
    int folder = open(folder_name, O_RDONLY | O_DIRECTORY);
    int program = openat(folder, "program", O_CREAT | O_WRONLY, 0700);
    write(program, image, size);
    close(program);
    symlinkat("program", folder, "link");
    by_descriptor(folder, "program", 0);
    by_descriptor(folder, "link", 0);
    by_descriptor(folder, "link", AT_SYMLINK_NOFOLLOW);
    by_descriptor(folder, "program", AT_SYMLINK_NOFOLLOW);
    by_descriptor(folder, "program", 0x4000);
    by_descriptor(folder, "missing", 0);
    program = openat(folder, "program", O_RDONLY);
    by_descriptor(program, "", AT_EMPTY_PATH);
    by_descriptor(program, "", 0);
    unlinkat(folder, "link", 0);
    unlinkat(folder, "program", 0);
    rmdir(folder_name);
    return 0;
}
