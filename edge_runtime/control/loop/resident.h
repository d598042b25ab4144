/* Code that is in memory before it is needed. */
#ifndef EDGE_RUNTIME_RESIDENT_H
#define EDGE_RUNTIME_RESIDENT_H

/* Touches every page of the libraries that the loop runs code of: what nobody has called yet would be a page fault in
 * the tick that calls it first. A megabyte or two, and no more of the interpreter than that. */
void resident_touch_libraries(void);

#endif
