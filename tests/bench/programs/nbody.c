/* Float: five bodies that attract each other, in double precision. */
#include "bench.h"
#include <math.h>

enum { BODIES = 5 };

static double place[BODIES][3], speed[BODIES][3];
static const double mass[BODIES] = {39.5, 0.0377, 0.0113, 0.0017, 0.002};

static void advance(double step)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = place[i][k] - place[j][k];
                square += d[k] * d[k];
            }
            double pull = step / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                speed[i][k] -= d[k] * mass[j] * pull;
                speed[j][k] += d[k] * mass[i] * pull;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            place[i][k] += step * speed[i][k];
}

int main(void)
{
    for (int i = 1; i < BODIES; i++) {
        place[i][0] = 5.0 * i;
        place[i][1] = 1.5 * i;
        place[i][2] = -0.125 * i;
        speed[i][1] = 2.5 / i;
        speed[i][0] = -0.5 / i;
    }
    for (int n = 0; n < 600000; n++)
        advance(0.001);
    uint64_t sum = 0;
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            sum = mix(sum, bits_of(place[i][k]));
    return finish(sum, 0x94d4a05a876461af);
}
