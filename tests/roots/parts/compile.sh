# gcc -O2 of a small program, by make, and of one as large as SQLite; git with a clone of a local repository.
cat > a.c <<'C'
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
static int cmp(const void*a,const void*b){return *(int*)a-*(int*)b;}
int main(){int v[1000];unsigned s=1;for(int i=0;i<1000;i++){s=s*1103515245+12345;v[i]=s>>16&0x7fff;}qsort(v,1000,4,cmp);printf("%d %d %.10f\n",v[0],v[999],sin(1.0)+pow(2,0.3));char b[100];memset(b,65,99);b[99]=0;printf("%zu\n",strlen(b));return 0;}
C
gcc -O2 a.c -o a -lm && ./a; echo gcc $?
cat > Makefile <<'M'
all: b
b: b.o c.o
	gcc -o b b.o c.o
%.o: %.c
	gcc -O2 -c $<
M
echo 'int f(int);int main(){return f(41)-42;}' > b.c; echo 'int f(int x){return x+1;}' > c.c; make -j2 -s && ./b; echo make $?
# Some two and a half thousand functions that call each other.
awk 'BEGIN { print "unsigned f0(unsigned x) { return x; }"
    for (n = 1; n < 2500; n++)
        printf "unsigned f%d(unsigned x) {\n    unsigned s = 0;\n    for (unsigned i = 0; i < x %% %d; i++)\n        s = s * %d + (i & %d ? i ^ x : i);\n    s += f%d(s);\n    switch (s %% 5) {\n    case 0: return s + 1;\n    case 1: return s ^ x;\n    case 2: return s >> 3;\n    default: return s;\n    }\n}\n", n, n % 7 + 2, n * 2 + 1, n % 4 + 1, n / 2
    print "#include <stdio.h>\nint main(void) { unsigned s = 0; for (unsigned i = 0; i < 100; i++) s += f2499(i); printf(\"%u\\n\", s); return 0; }" }' > large.c
gcc -O2 large.c -o large && ./large
export HOME=$PWD; git config --global user.email a@b; git config --global user.name n; git config --global init.defaultBranch main
mkdir r; cd r; git init -q; for i in 1 2 3 4 5; do echo $i > f$i; git add .; git commit -qm c$i; done; cd ..; git clone -q r r2; cd r2; git log --oneline | wc -l; git branch x; git checkout -q x; echo z > z; git add z; git commit -qm z; git push -q origin x; git gc -q; git fsck; git -C ../r log --oneline x | wc -l; git diff HEAD~2 --stat | tail -1; cd ..
git clone -q file://$PWD/r r3 && git -C r3 status -s | wc -l
