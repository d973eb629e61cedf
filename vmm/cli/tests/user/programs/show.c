// Arguments, environment and what is random at the start.
#include <stdio.h>
#include <sys/auxv.h>
int main(int argc, char **argv, char **env) {
    for (int i = 0; i < argc; i++) printf("%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    while (*env) puts(*env++);
    printf("random %lx\n", *(long *)getauxval(AT_RANDOM));
    return 0;
}
