/* The lifeline of a process: a word in shared memory that shows, within microseconds, that its thread has ended.
 *
 * A pidfd tells the end of a process once all of its memory has been given back, which takes the longer the more it had:
 * tenths of a second for a policy of a gigabyte. The system marks the robust locks of a thread before that, however the
 * thread ends. So the policy's main thread holds such a lock for life, and who wants to know looks at the lock's word.
 *
 * Guarantees: no look waits or calls the system; a word that does not name the process it should is not watched. Refuses
 * to know: what the process does. Trusts: that nobody makes the file shorter. Needs glibc, whose lock begins with the
 * word that Linux marks; anywhere else lifeline_hold() refuses. */
#ifndef EDGE_RUNTIME_LIFELINE_H
#define EDGE_RUNTIME_LIFELINE_H

#include <stdint.h>

/* bindings:begin */
/* A new lifeline of the calling thread at path, in place of what was there; held until the thread ends. 0, or -errno. */
int lifeline_hold(const char *path);
/* bindings:end */

/* The word behind a descriptor of such a file, if it says that process pid lives; else NULL. */
const uint32_t *lifeline_map(int fd, int32_t pid);
void lifeline_unmap(const uint32_t *word);

/* Whether the thread that held it has ended. */
int lifeline_is_cut(const uint32_t *word);

#endif
