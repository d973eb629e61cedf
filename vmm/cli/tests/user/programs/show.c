// Arguments and environment.
#include <stdio.h>
int main(int argc, char **argv, char **env) {
    for (int i = 0; i < argc; i++) printf("%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    while (*env) puts(*env++);
    return 0;
}
