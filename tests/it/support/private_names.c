/* Every name but those that are addresses leads to 10.0.0.1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>

typedef int (*resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    resolver system_resolver = (resolver)dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    if (name != NULL && system_resolver(name, service, &numeric, found) == 0) {
        return 0;
    }
    return system_resolver("10.0.0.1", service, hints, found);
}
