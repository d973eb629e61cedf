// What gcc's address sanitizer finds.
#include <stdlib.h>

int main(int argc, char **argv) {
    char *volatile bytes = malloc(10);
    return bytes[argc + 9];
}
