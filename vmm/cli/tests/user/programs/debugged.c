// Two threads, each with a sum of its own that says whether anybody disturbed them; signals, a child, and a new program
// where arguments ask for them.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

long rounds = 8000000;
volatile long sums[2];
volatile double scale = 1.5;

__attribute__((noinline)) long mix(long sum, long round)
{
	sum += (sum << 5) + round;
	return sum ^ (long)((unsigned long)sum >> 11);
}

__attribute__((noinline)) void turn(void)
{
	scale += 1;
}

__attribute__((noinline)) void *work(void *arg)
{
	long n = (long)arg, sum = n + 7;
	for (long round = rounds; round; round--) {
		sum = mix(sum, round);
		sums[n] = sum;
		if (round % 100000 == 0)
			getppid();
	}
	return 0;
}

static void caught(int signal)
{
	printf("caught %d\n", signal);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	setvbuf(stdout, 0, _IOLBF, 0);
	if (!strcmp(what, "signals")) {
		signal(SIGUSR1, caught);
		raise(SIGUSR1);
		raise(SIGUSR1);
		raise(SIGTERM);
		printf("alive\n");
		abort();
	}
	if (!strcmp(what, "fork") || !strcmp(what, "vfork")) {
		int child = what[0] == 'f' ? fork() : vfork();
		if (child == 0) {
			sums[0] = mix(1, 2);
			_exit(3);
		}
		int status;
		waitpid(child, &status, 0);
		printf("child %d\n", WEXITSTATUS(status));
		return 4;
	}
	if (!strcmp(what, "spawn")) {
		// Threads begin all the time.
		rounds = 2;
		for (;;) {
			pthread_t threads[8];
			for (long n = 0; n < 8; n++)
				pthread_create(&threads[n], 0, work, (void *)(n % 2));
			turn();
			for (long n = 0; n < 8; n++)
				pthread_join(threads[n], 0);
		}
	}
	if (!strcmp(what, "exec"))
		return execl(argv[0], argv[0], "short", (char *)0);
	if (!strcmp(what, "short"))
		rounds = 1000;
	if (!strcmp(what, "long") || !strcmp(what, "crash"))
		rounds = 400000000;
	if (!strcmp(what, "wait"))
		sleep(100);
	pthread_t threads[2];
	for (long n = 0; n < 2; n++)
		pthread_create(&threads[n], 0, work, (void *)n);
	if (!strcmp(what, "crash")) {
		// Until both are at work.
		while (!sums[0] || !sums[1])
			usleep(1000);
		abort();
	}
	for (long n = 0; n < 2; n++)
		pthread_join(threads[n], 0);
	printf("%lx %lx\n", sums[0], sums[1]);
	return 7;
}
