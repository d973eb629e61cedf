/* The first and only process of the guest: runs the programs that /programs lists, says when each begins and how it
 * ended, and powers off. */
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    char name[64], path[80];
    FILE *list = fopen("/programs", "r");
    setvbuf(stdout, NULL, _IONBF, 0);
    /* What the kernel still does at the end of its boot is no program's. */
    sleep(2);
    while (list && fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        snprintf(path, sizeof path, "/%s", name);
        printf("BEGIN %s\n", name);
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            execl(path, path, NULL);
            _exit(127);
        }
        waitpid(child, &status, 0);
        printf("END %s %d\n", name, status);
    }
    reboot(RB_POWER_OFF);
    return 1;
}
