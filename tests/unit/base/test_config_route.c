/* Which app a request, a TLS server name or a port belongs to, and what cannot be claimed twice. */
#include "folder.h"

#include "config_internal.h"

/* The value of the cookie among `a=1; b=2`. */
static const char *cookie_value(void *user, const char *name, size_t *ret_len) {
    const char *p = user;
    size_t len = strlen(name);

    while (p != NULL && *p != '\0') {
        if (strncmp(p, name, len) == 0 && p[len] == '=') {
            *ret_len = strcspn(p + len + 1, ";");
            return p + len + 1;
        }
        p = strchr(p, ';');
        p = p != NULL ? p + 2 : NULL;
    }
    *ret_len = 0;
    return NULL;
}

/*
 * What is found, as text: `app`, `app@instance`, with `+N` for the segments that the route took, `!`
 * when the cookie decided; `>app` for its fallback; `-` for none; `400` for a faulty path.
 */
static const char *route_of(const struct config *config, const char *host, const char *path,
                            const char *cookies) {
    static char text[256];
    char canonical[CONFIG_PATH_MAX];
    struct config_request request = {
        .host = host,
        .host_len = strlen(host),
        .cookie = cookies != NULL ? cookie_value : NULL,
        .user = (void *)cookies,
    };
    struct config_route route;
    size_t len;

    if (strcmp(path, "*") != 0) {
        int n = config_path_canonical(path, strlen(path), canonical);

        if (n < 0) {
            return "400";
        }
        request.path = canonical;
        request.path_len = (size_t)n;
    }
    memset(&route, 0xff, sizeof(route));
    config_find(config, &request, &route);
    if (route.found == CONFIG_FOUND_NONE) {
        assert_null(route.app);
        return "-";
    }
    len = (size_t)snprintf(text, sizeof(text), "%s%s%s%s",
                           route.found == CONFIG_FOUND_FALLBACK ? ">" : "", route.app->name,
                           route.instance[0] != '\0' ? "@" : "", route.instance);
    if (route.segments > 0) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "+%u", route.segments);
    }
    snprintf(text + len, sizeof(text) - len, "%s", route.by_cookie ? "!" : "");
    return text;
}

struct request {
    const char *host, *path, *cookies, *route;
};

static void check_requests(const struct config *config, const struct request *requests, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct request *r = &requests[i];
        const char *route = route_of(config, r->host, r->path, r->cookies);

        if (strcmp(route, r->route) != 0) {
            fail_msg("%s %s (%s): %s instead of %s", r->host, r->path,
                     r->cookies != NULL ? r->cookies : "", route, r->route);
        }
    }
}

struct file {
    const char *name, *text;
};

static void write_files(const struct folder *f, const struct file *files, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char name[128];

        snprintf(name, sizeof(name), "apps.d/%s.ini", files[i].name);
        folder_write(f, name, files[i].text);
    }
}

static const struct file files[] = {
    /* hosts */
    {"exact", "[route]\nhost = example.com www.example.com [::1] 192.0.2.1\n"},
    {"wild", "[route]\nhost = *.example.com\n"},
    {"wild-deep", "[route]\nhost = *.deep.example.com\n"},
    {"wild-very", "[route]\nhost = *.a.very.deep.example.com\n"},
    {"single", "[route]\nhost = intranet\n"},
    {"pr@", "[route]\nhost = pr-%i.example.com\n"},
    {"any@", "[route]\nhost = %i.any.example\n"},
    {"any-app", "[route]\nhost = www.any.example\n"},
    {"any-wild", "[route]\nhost = *.any.example\n"},
    {"lan@", "[route]\nhost = lan-%i\n"},
    /* paths on one host */
    {"root", "[route]\nhost = paths.example\n"},
    {"app", "[route]\nhost = paths.example\npath = /app\n"},
    {"app-sub", "[route]\nhost = paths.example\npath = /app/sub/deep/\n"},
    {"slash", "[route]\nhost = paths.example\npath = /a%2fb\n"},
    {"tilde", "[route]\nhost = paths.example\npath = /%7euser\n"},
    {"session@", "[route]\nhost = paths.example\npath = /session/%i\n"},
    {"session-admin", "[route]\nhost = paths.example\npath = /session/admin\n"},
    {"session-tail@", "[route]\nhost = paths.example\npath = /session/%i/tail\n"},
    {"v@", "[route]\nhost = paths.example\npath = /session/v-%i-x\n"},
    {"first@", "[route]\nhost = paths.example\npath = /%i/last\n"},
    /* no host */
    {"nohost", "[route]\npath = /nohost\n"},
    {"nohost-deep", "[route]\npath = /app/nohost\n"},
    /* cookies */
    {"home", "[route]\nhost = cookie.example\npath = /home\n"},
    {"m1", "[route]\nhost = cookie.example\ncookie = instance=m1\nfallback = /home\n"},
    {"m2", "[route]\nhost = cookie.example\ncookie = instance=m2\n"},
    {"mt@", "[route]\nhost = cookie.example\ncookie = instance=t-%i\n"},
    {"other", "[route]\nhost = cookie.example\ncookie = other=1\n"},
    {"mx", "[route]\nhost = cookie.example\npath = /x\ncookie = instance=m1\n"},
    {"plain", "[route]\nhost = mixed.example\n"},
    {"blue", "[route]\nhost = mixed.example\ncookie = colour=blue\n"},
    {"nofall", "[route]\nhost = nofall.example\npath = /x\ncookie = a=b\n"},
    {"nofall-root", "[route]\nhost = nofall.example\n"},
    {"onlywild", "[route]\nhost = *.fall.example\n"},
    {"onlycookie", "[route]\nhost = x.fall.example\ncookie = a=b\n"},
    /* several in one */
    {"both@", "[route]\nhost = %i.both.example\npath = /u/%i\ncookie = who=%i\n"},
    {"both-root@", "[route]\nhost = %i.both.example\n"},
    /* broken, and its route all the same */
    {"broken", "[app]\nport = x\n[route]\nhost = broken.example\npath = /x\n"},
};

#define L63  "a23456789-123456789-123456789-123456789-123456789-123456789-123"
#define L63B "b23456789-123456789-123456789-123456789-123456789-123456789-123"

static const struct request requests[] = {
    /* hosts: case, trailing dot, literals */
    {"example.com", "/", NULL, "exact"},
    {"EXAMPLE.com", "/x", NULL, "exact"},
    {"example.com.", "/", NULL, "exact"},
    {"www.Example.COM.", "/", NULL, "exact"},
    {"[::1]", "/", NULL, "exact"},
    {"[0:0::0:1]", "/", NULL, "exact"},
    {"[::2]", "/", NULL, "-"},
    {"192.0.2.1", "/", NULL, "exact"},
    {"192.0.2.2", "/", NULL, "-"},
    {"intranet", "/", NULL, "single"},
    {"intranet.", "/", NULL, "single"},
    {"", "/", NULL, "-"},
    {".", "/", NULL, "-"},
    {"..", "/", NULL, "-"},
    {"example.com:80", "/", NULL, "-"},
    {"exa mple.com", "/", NULL, "-"},
    {"example.com..", "/", NULL, "-"},
    {"unknown.example", "/", NULL, "-"},
    {"com", "/", NULL, "-"},
    {"xexample.com", "/", NULL, "-"},
    {"example.com.evil", "/", NULL, "-"},
    /* wildcards: any depth, the longest, never the name itself */
    {"a.example.com", "/", NULL, "wild"},
    {"A.B.C.Example.Com.", "/", NULL, "wild"},
    {"deep.example.com", "/", NULL, "wild"},
    {"x.deep.example.com", "/", NULL, "wild-deep"},
    {"y.x.deep.example.com", "/", NULL, "wild-deep"},
    {"very.deep.example.com", "/", NULL, "wild-deep"},
    {"a.very.deep.example.com", "/", NULL, "wild-deep"},
    {"b.a.very.deep.example.com", "/", NULL, "wild-very"},
    {"*.example.com", "/", NULL, "-"},
    {".example.com", "/", NULL, "-"},
    {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.example.com", "/", NULL, "wild"},
    {L63 "." L63B ".example.com", "/", NULL, "wild"},
    {L63 "4.example.com", "/", NULL, "-"},
    /* templates in hosts: beside the wildcard and before it */
    {"pr-12.example.com", "/", NULL, "pr@12"},
    {"PR-Ab.example.com", "/", NULL, "pr@ab"},
    {"pr-a-b_c.example.com", "/", NULL, "pr@a-b_c"},
    {"pr-.example.com", "/", NULL, "-"},
    {"pr--x.example.com", "/", NULL, "wild"},
    {"pr-_x.example.com", "/", NULL, "wild"},
    {"xpr-12.example.com", "/", NULL, "wild"},
    {"x.pr-12.example.com", "/", NULL, "wild"},
    {"pr-12.deep.example.com", "/", NULL, "wild-deep"},
    {"x.any.example", "/", NULL, "any@x"},
    {"www.any.example", "/", NULL, "any-app"},
    {"x.y.any.example", "/", NULL, "any-wild"},
    {"_x.any.example", "/", NULL, "any-wild"},
    {"any.example", "/", NULL, "-"},
    {"lan-x", "/", NULL, "lan@x"},
    {"lan-x.example", "/", NULL, "-"},
    /* paths: whole segments, the longest */
    {"paths.example", "/", NULL, "root"},
    {"paths.example", "", NULL, "root"},
    {"paths.example", "*", NULL, "root"},
    {"paths.example", "/app", NULL, "app+1"},
    {"paths.example", "/app/", NULL, "app+1"},
    {"paths.example", "/app/x", NULL, "app+1"},
    {"paths.example", "/app//", NULL, "app+1"},
    {"paths.example", "/apple", NULL, "root"},
    {"paths.example", "/ap", NULL, "root"},
    {"paths.example", "/App", NULL, "root"},
    {"paths.example", "//app", NULL, "root"},
    {"paths.example", "/x/app", NULL, "root"},
    {"paths.example", "/%61pp", NULL, "app+1"},
    {"paths.example", "/%61%70%70/x", NULL, "app+1"},
    {"paths.example", "/app%2fx", NULL, "root"},
    {"paths.example", "/app%2Fsub%2Fdeep", NULL, "root"},
    {"paths.example", "/app;v=1", NULL, "root"},
    {"paths.example", "/app/sub", NULL, "app+1"},
    {"paths.example", "/app/sub/deep", NULL, "app-sub+3"},
    {"paths.example", "/app/sub/deeper", NULL, "app+1"},
    {"paths.example", "/app/sub/deep/x/y", NULL, "app-sub+3"},
    {"paths.example", "/app/sub//deep", NULL, "app+1"},
    {"paths.example", "/a%2fb", NULL, "slash+1"},
    {"paths.example", "/a%2Fb/x", NULL, "slash+1"},
    {"paths.example", "/a/b", NULL, "root"},
    {"paths.example", "/~user", NULL, "tilde+1"},
    {"paths.example", "/%7Euser", NULL, "tilde+1"},
    {"paths.example", "/app/../x", NULL, "400"},
    {"paths.example", "/app/.", NULL, "400"},
    {"paths.example", "/app/%2e%2E/x", NULL, "400"},
    {"paths.example", "/.%2e", NULL, "400"},
    {"paths.example", "/%", NULL, "400"},
    {"paths.example", "/%g0", NULL, "400"},
    {"paths.example", "/...", NULL, "root"},
    {"paths.example", "app", NULL, "400"},
    /* templates in paths: after the plain one, and faulty instances */
    {"paths.example", "/session/x", NULL, "session@x+2"},
    {"paths.example", "/session/x/", NULL, "session@x+2"},
    {"paths.example", "/session/x/y/z", NULL, "session@x+2"},
    {"paths.example", "/session/%78", NULL, "session@x+2"},
    {"paths.example", "/session/Min-1_", NULL, "session@Min-1_+2"},
    {"paths.example", "/session", NULL, "root"},
    {"paths.example", "/session/", NULL, "root"},
    {"paths.example", "/session//x", NULL, "root"},
    {"paths.example", "/session/-x", NULL, "root"},
    {"paths.example", "/session/x.y", NULL, "root"},
    {"paths.example", "/session/x%20y", NULL, "root"},
    {"paths.example", "/session/%69%00", NULL, "root"},
    {"paths.example", "/session/%i", NULL, "400"},
    {"paths.example", "/session/" L63, NULL, "session@" L63 "+2"},
    {"paths.example", "/session/" L63 "4", NULL, "root"},
    {"paths.example", "/session/admin", NULL, "session-admin+2"},
    {"paths.example", "/session/admin/x", NULL, "session-admin+2"},
    /* the longer route of a template before the shorter plain one */
    {"paths.example", "/session/admin/tail", NULL, "session-tail@admin+3"},
    {"paths.example", "/session/x/tail/y", NULL, "session-tail@x+3"},
    {"paths.example", "/session/x/tails", NULL, "session@x+2"},
    /* the longer text beside %i first */
    {"paths.example", "/session/v-1-x", NULL, "v@1+2"},
    {"paths.example", "/session/v--x", NULL, "session@v--x+2"},
    {"paths.example", "/session/v-1-xy", NULL, "session@v-1-xy+2"},
    /* equally long: the later %i; with no plain way at all: the other one */
    {"paths.example", "/session/last", NULL, "session@last+2"},
    {"paths.example", "/abc/last", NULL, "first@abc+2"},
    {"paths.example", "/app/last", NULL, "first@app+2"},
    /* no host: below every host that has nothing of its own for the path */
    {"", "/nohost", NULL, "nohost+1"},
    {"unknown.example", "/nohost/x", NULL, "nohost+1"},
    {"example.com:80", "/nohost", NULL, "nohost+1"},
    {"broken.example", "/nohost", NULL, "nohost+1"},
    {"paths.example", "/nohost", NULL, "root"},
    {"unknown.example", "/app/nohost", NULL, "nohost-deep+2"},
    {"unknown.example", "/app", NULL, "-"},
    /* cookies */
    {"cookie.example", "/", "instance=m1", "m1!"},
    {"cookie.example", "/y", "a=b; instance=m2; c=d", "m2!"},
    {"cookie.example", "/", NULL, ">m1"},
    {"cookie.example", "/", "", ">m1"},
    {"cookie.example", "/", "instance=m3", ">m1"},
    {"cookie.example", "/", "instance=M1", ">m1"},
    {"cookie.example", "/", "instance=", ">m1"},
    {"cookie.example", "/", "Instance=m1", ">m1"},
    {"cookie.example", "/", "instance=m11", ">m1"},
    {"cookie.example", "/", "instance=m9; instance=m1", ">m1"},
    {"cookie.example", "/", "other=1", "other!"},
    {"cookie.example", "/", "other=1; instance=m2", "m2!"},
    {"cookie.example", "/", "other=2; instance=m2", "m2!"},
    {"cookie.example", "/", "instance=t-x", "mt@x!"},
    {"cookie.example", "/", "instance=t-", ">m1"},
    {"cookie.example", "/", "instance=t-x.y", ">m1"},
    {"cookie.example", "/", "instance=t-x; other=1", "other!"},
    {"cookie.example", "/home", NULL, "home+1"},
    {"cookie.example", "/home/x", "instance=m1", "home+1"},
    {"cookie.example", "/x/y", "instance=m1", "mx+1!"},
    {"cookie.example", "/x/y", "instance=m2", "m2!"},
    {"cookie.example", "/x/y", NULL, ">m1"},
    {"cookie.example", "*", "instance=m1", "m1!"},
    {"mixed.example", "/", "colour=blue", "blue!"},
    {"mixed.example", "/", "colour=red", "plain"},
    {"mixed.example", "/", NULL, "plain"},
    {"nofall.example", "/x", "a=b", "nofall+1!"},
    {"nofall.example", "/x", NULL, "nofall-root"},
    {"x.fall.example", "/", "a=b", "onlycookie!"},
    {"x.fall.example", "/", NULL, "onlywild"},
    /* one instance in all parts of a route */
    {"joe.both.example", "/u/joe/x", "who=joe", "both@joe+2!"},
    {"joe.both.example", "/u/ann", "who=joe", "both-root@joe"},
    {"joe.both.example", "/u/joe", "who=ann", "both-root@joe"},
    {"joe.both.example", "/u/joe", NULL, "both-root@joe"},
    {"joe.both.example", "/u/Joe", "who=joe", "both-root@joe"},
    {"joe.both.example", "/", NULL, "both-root@joe"},
    /* broken */
    {"broken.example", "/x", NULL, "broken+1"},
    {"broken.example", "/", NULL, "-"},
};

static void route_order(void **state) {
    struct folder *f = *state;

    write_files(f, files, ARRAY_SIZE(files));
    folder_expect(f, "apps.d/broken.ini:2: port: 'x' is not a port (1 to 65535)");
    check_requests(f->config, requests, ARRAY_SIZE(requests));
    print_message("# %zu requests\n", ARRAY_SIZE(requests));
    assert_string_equal(config_app_by_host(f->config, "Example.com.", 12)->name, "exact");
    assert_null(config_app_by_host(f->config, "unknown.example", 15));
}

/* The same with a default app: it gets what had none, and nothing else changes. */
static void route_order_with_default(void **state) {
    struct folder *f = *state;

    write_files(f, files, ARRAY_SIZE(files));
    folder_write(f, "apps.d/zz.ini", "[route]\ndefault = yes\n");
    folder_expect(f, "apps.d/broken.ini:2: port: 'x' is not a port (1 to 65535)");
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        struct request request = requests[i];

        if (strcmp(request.route, "-") == 0) {
            request.route = "zz";
        }
        check_requests(f->config, &request, 1);
    }
}

/* Other characters than those of names, in a request that was not made by us. */
static void hosts_with_nul(void **state) {
    struct folder *f = *state;
    struct config_request request = {.host = "example.com\0x", .host_len = 13};
    struct config_route route;

    write_files(f, files, ARRAY_SIZE(files));
    folder_expect(f, "apps.d/broken.ini:2: port: 'x' is not a port (1 to 65535)");
    config_find(f->config, &request, &route);
    assert_int_equal(route.found, CONFIG_FOUND_NONE);
}

static const char *sni_of(const struct config *config, const char *name) {
    struct config_route route;

    memset(&route, 0xff, sizeof(route));
    config_find_sni(config, name, strlen(name), &route);
    assert_false(route.by_cookie);
    assert_int_equal(route.segments, 0);
    assert_string_equal(route.instance, "");
    assert_int_equal(route.found, route.app != NULL ? CONFIG_FOUND_APP : CONFIG_FOUND_NONE);
    return route.app != NULL ? route.app->name : "-";
}

static void sni(void **state) {
    struct folder *f = *state;

    folder_write(f, "apps.d/http.ini", "[route]\nhost = x.example.com\ndefault = yes\n");
    folder_fine(f);
    assert_false(config_has_sni(f->config));
    assert_string_equal(sni_of(f->config, "x.example.com"), "-");
    folder_write(f, "apps.d/wild.ini", "[route]\nsni = *.example.com\n");
    folder_fine(f);
    assert_true(config_has_sni(f->config));
    folder_write(f, "apps.d/exact.ini", "[app]\nport = x\n[route]\nsni = a.Example.com., b\n");
    folder_write(f, "apps.d/deep.ini", "[route]\nsni = *.deep.example.com\n");
    folder_expect(f, "apps.d/exact.ini:2: port: 'x' is not a port (1 to 65535)");
    assert_true(config_has_sni(f->config));
    assert_string_equal(sni_of(f->config, "A.example.com"), "exact");
    assert_string_equal(sni_of(f->config, "b."), "exact");
    assert_string_equal(sni_of(f->config, "x.a.example.com"), "wild");
    assert_string_equal(sni_of(f->config, "x.example.com"), "wild");
    assert_string_equal(sni_of(f->config, "deep.example.com"), "wild");
    assert_string_equal(sni_of(f->config, "x.y.deep.example.com"), "deep");
    assert_string_equal(sni_of(f->config, "example.com"), "-");
    assert_string_equal(sni_of(f->config, ""), "-");
    assert_string_equal(sni_of(f->config, "10.0.0.1"), "-");
    assert_string_equal(sni_of(f->config, "a b"), "-");
    /* A default app that speaks TLS. */
    folder_write(f, "apps.d/http.ini", "[route]\nsni = x\ndefault = yes\n");
    folder_expect(f, "apps.d/exact.ini:2: port: 'x' is not a port (1 to 65535)");
    assert_string_equal(sni_of(f->config, "example.com"), "http");
    assert_string_equal(sni_of(f->config, ""), "http");
}

/* --- claims ---------------------------------------------------------------------------------- */

/* The second file's error says where the first one claimed the same; %s is that file's path. */
struct clash {
    const char *first, *second;
    const char *claim; /* with the line before it; NULL: both have it */
    unsigned line;     /* of the first one's claim */
};

static const struct clash clashes[] = {
    {"[route]\nhost = a\n", "[route]\nhost = a\n", "2: host 'a'", 2},
    {"[route]\nhost = a\n", "[route]\nhost = b\n", NULL, 0},
    {"[route]\nhost = a\n", "[route]\nhost = *.a x.a\n", NULL, 0},
    {"[route]\nhost = a\npath = /x\n", "[route]\nhost = a\npath = /%78/\n",
     "2: host 'a' with path '/x'", 2},
    {"[route]\nhost = a\npath = /x\n", "[route]\nhost = a\npath = /x/y\n", NULL, 0},
    {"[route]\nhost = a\npath = /x\n", "[route]\nhost = a\n", NULL, 0},
    {"[route]\npath = /x\n", "[route]\n\npath = /x\n", "3: path '/x'", 2},
    {"[route]\npath = /x\n", "[route]\nhost = a\npath = /x\n", NULL, 0},
    {"[route]\nhost = *.a\n", "[route]\nhost = b, *.A.\n", "2: host '*.a'", 2},
    {"[route]\nhost = *.a\n", "[route]\nhost = *.b.a\n", NULL, 0},
    {"[route]\nhost = a\ncookie = c=1\n", "[route]\nhost = a\ncookie = c=1\n",
     "2: host 'a' with cookie 'c=1'", 2},
    {"[route]\ncookie = c=1\n", "[route]\ncookie = c=1\n", "2: cookie 'c=1'", 2},
    {"[route]\ncookie = c=1\n", "[route]\npath = /x\ncookie = c=1\n", NULL, 0},
    {"[route]\nhost = a\ncookie = c=1\n", "[route]\nhost = a\ncookie = c=2\n", NULL, 0},
    {"[route]\nhost = a\ncookie = c=1\n", "[route]\nhost = a\ncookie = d=1\n", NULL, 0},
    {"[route]\nhost = a\ncookie = c=1\n", "[route]\nhost = a\n", NULL, 0},
    {"[route]\nhost = a\npath = /x\ncookie = c=1\n",
     "[route]\nhost = b a\npath = /x\ncookie = c=1\n",
     "2: host 'a' with path '/x' and cookie 'c=1'", 2},
    {"[route]\nsni = a b\n", "[route]\nhost = a\n\nsni = c b\n", "4: sni 'b'", 2},
    {"[route]\nsni = *.a\n", "[route]\nsni = *.A\n", "2: sni '*.a'", 2},
    {"[route]\nsni = *.a\n", "[route]\nsni = a *.b.a\nhost = *.a\n", NULL, 0},
    {"[route]\nport = 1\n", "[route]\nport = 1\n", "2: port 1", 2},
    {"[route]\nhost = a\ndefault = yes\n", "[route]\ndefault = yes\n", "2: default", 3},
    {"[route]\ndefault = no\n", "[route]\ndefault = yes\n", NULL, 0},
    /* A broken app has its routes, but none of which a part is missing. */
    {"[app]\nport = x\n[route]\nhost = a -b\n", "[route]\nhost = a\n", "2: host 'a'", 4},
    {"[route]\nhost = a\npath = x\n", "[route]\nhost = a\n", NULL, 0},
    {"[route]\nhost = a\ncookie = x\n", "[route]\nhost = a\n", NULL, 0},
    {"[route]\nhost = -a\npath = /x\n", "[route]\npath = /x\n", NULL, 0},
};

static const struct clash template_clashes[] = {
    {"[route]\nhost = %i.a\n", "[route]\nhost = %i.A\n", "2: host '%i.a'", 2},
    {"[route]\nhost = %i.a\n", "[route]\nhost = x%i.a\n", NULL, 0},
    {"[route]\nhost = %i.a\n", "[route]\nhost = %i.b\n", NULL, 0},
    {"[route]\npath = /x/%i\n", "[route]\npath = /x/%i\n", "2: path '/x/%i'", 2},
    {"[route]\npath = /x/%i\n", "[route]\npath = /x/%i/y\n", NULL, 0},
    {"[route]\npath = /x/%i\n", "[route]\npath = /x/y%i\n", NULL, 0},
    {"[route]\ncookie = a=%i\n", "[route]\ncookie = a=%i\n", "2: cookie 'a=%i'", 2},
    {"[route]\ncookie = a=%i\n", "[route]\ncookie = a=x%i\n", NULL, 0},
};

static void check_clashes(struct folder *f, const char *first, const char *second,
                          const struct clash *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct clash *c = &cases[i];
        const struct config_app *app;
        char expected[512];

        folder_write(f, first, c->first);
        folder_write(f, second, c->second);
        snprintf(expected, sizeof(expected), "%s:%s is already claimed by %s/%s:%u", second,
                 c->claim, f->path, first, c->line);
        config_free(f->config);
        config_errors_done(&f->errors);
        f->config = NULL;
        assert_int_equal(config_load(&f->paths, &f->errors, &f->config), 0);
        app = config_app_by_name(f->config, "b");
        assert_int_equal(app->broken, c->claim != NULL);
        if (c->claim != NULL) {
            assert_string_equal(folder_error(f, f->errors.n - 1), expected);
        }
    }
}

static void claims_that_clash(void **state) {
    struct folder *f = *state;

    check_clashes(f, "apps.d/a.ini", "apps.d/b.ini", clashes, ARRAY_SIZE(clashes));
}

static void claims_that_clash_in_templates(void **state) {
    struct folder *f = *state;

    check_clashes(f, "apps.d/a@.ini", "apps.d/b@.ini", template_clashes,
                  ARRAY_SIZE(template_clashes));
}

/* What cannot be looked up in a map is bounded, and the bound is reached. */
static void bounds(void **state) {
    struct folder *f = *state;
    char name[64];
    char text[256];
    char what[128];

    for (int k = 0; k < 3; k++) {
        for (int i = 0; i <= CONFIG_PATTERNS_MAX; i++) {
            char c = (char)('a' + i);

            snprintf(name, sizeof(name), "apps.d/%c@.ini", c);
            if (k == 0) {
                snprintf(text, sizeof(text), "[route]\nhost = %c-%%i.example\npath = /x\n", c);
                snprintf(what, sizeof(what), "host '%c-%%i.example' with path '/x'", c);
            } else if (k == 1) {
                snprintf(text, sizeof(text), "[route]\npath = /x/%c-%%i/y\n", c);
                snprintf(what, sizeof(what), "path '/x/%c-%%i/y'", c);
            } else {
                snprintf(text, sizeof(text), "[route]\ncookie = a=%c-%%i\n", c);
                snprintf(what, sizeof(what), "cookie 'a=%c-%%i'", c);
            }
            folder_write(f, name, text);
        }
        snprintf(text, sizeof(text), "%s:2: %s: more than 16 templates have their %%i here", name,
                 what);
        folder_expect(f, text);
        assert_int_equal(unlink(strcat(strcpy(text, f->path), "/apps.d/q@.ini")), 0);
        folder_fine(f);
    }
    assert_string_equal(route_of(f->config, "", "/", "a=p-x"), "p@x!");

    for (int i = 0; i <= CONFIG_COOKIES_MAX; i++) {
        snprintf(name, sizeof(name), "apps.d/z%02d.ini", i);
        snprintf(text, sizeof(text), "[route]\nhost = z\ncookie = c%d=x\n", i);
        folder_write(f, name, text);
    }
    folder_expect(f, "apps.d/z16.ini:2: host 'z' with cookie 'c16=x': more than 16 names of "
                     "cookies are wanted here");
    assert_string_equal(route_of(f->config, "z", "/", "c15=x"), "z15!");
    assert_string_equal(route_of(f->config, "z", "/", "c16=x"), "-");
}

/* --- many ------------------------------------------------------------------------------------ */

/* Every app of each kind is found among ten thousand; how fast is bench/route.c's question. */
static void ten_thousand(void **state) {
    struct folder *f = *state;
    enum { N = 2500 };
    char name[64];
    char text[256];
    char host[64];
    char path[64];
    usec_t begin;

    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof(name), "apps.d/%c%d.ini", "hwpc"[k], i);
            snprintf(text, sizeof(text), "[route]\n%s%d%s\n",
                     k == 0   ? "host = h"
                     : k == 1 ? "host = *.w"
                     : k == 2 ? "host = p.example\npath = /p/p"
                              : "host = c.example\ncookie = c=v",
                     i, k < 2 ? ".example" : "");
            folder_write(f, name, text);
        }
    }
    begin = now_usec(CLOCK_MONOTONIC);
    folder_fine(f);
    print_message("# %d apps loaded in %llu ms\n", 4 * N,
                  (unsigned long long)((now_usec(CLOCK_MONOTONIC) - begin) / 1000));
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof(text), "h%d", i);
        snprintf(host, sizeof(host), "h%d.example", i);
        assert_string_equal(route_of(f->config, host, "/", NULL), text);
        text[0] = 'w';
        snprintf(host, sizeof(host), "x.y.w%d.example", i);
        assert_string_equal(route_of(f->config, host, "/", NULL), text);
        snprintf(text, sizeof(text), "p%d+2", i);
        snprintf(path, sizeof(path), "/p/p%d/x", i);
        assert_string_equal(route_of(f->config, "p.example", path, NULL), text);
        snprintf(text, sizeof(text), "c%d!", i);
        snprintf(path, sizeof(path), "c=v%d", i);
        assert_string_equal(route_of(f->config, "c.example", "/", path), text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        folder_test(route_order),
        folder_test(route_order_with_default),
        folder_test(hosts_with_nul),
        folder_test(sni),
        folder_test(claims_that_clash),
        folder_test(claims_that_clash_in_templates),
        folder_test(bounds),
        folder_test(ten_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
