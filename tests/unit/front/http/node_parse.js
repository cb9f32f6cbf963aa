/*
 * What node's parser (llhttp, strict) makes of the messages on standard input, as JSON: the other
 * side of compare.py. Each line is a kind and a message in hexadecimal digits, as for parse_head.c.
 *
 * `complete` is the number of bytes after which the message had ended, or -1. It is shown all but
 * its last byte first, so that one that ends too early is told from one that ends there.
 */
'use strict';

const { HTTPParser, methods } = require('_http_common');
const readline = require('readline');

const hex = (buffer) => buffer.toString('latin1');

function parse(kind, bytes) {
    const parser = new HTTPParser();
    const got = { fields: [], url: '', content: '', complete: -1, error: null };
    let given = 0;

    const take = (list) => {
        for (let i = 0; list && i < list.length; i += 2) {
            got.fields.push([list[i], list[i + 1]]);
        }
    };
    parser.initialize(kind === 'R' ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, 65536, 0);
    parser[HTTPParser.kOnHeaders] = (list, url) => {
        take(list);
        if (got.n_head === undefined) {
            got.url += url;
        }
    };
    parser[HTTPParser.kOnHeadersComplete] = (major, minor, list, method, url, code, message,
        upgrade, keep) => {
        take(list);
        got.n_head = got.fields.length;
        got.minor = minor;
        got.method = methods[method];
        got.url += url || '';
        got.code = code;
        got.phrase = message;
        got.upgrade = upgrade;
        got.persistent = keep;
        return kind === 'H' ? 1 : 0;
    };
    parser[HTTPParser.kOnBody] = (buffer, at, length) => {
        got.content += hex(at === undefined ? buffer : buffer.slice(at, at + length));
    };
    parser[HTTPParser.kOnMessageComplete] = () => {
        got.complete = got.complete < 0 ? given : -2;
    };
    for (const piece of [bytes.subarray(0, bytes.length - 1), bytes.subarray(bytes.length - 1)]) {
        given += piece.length;
        if (piece.length === 0 || got.error) {
            continue;
        }
        const result = parser.execute(piece, 0, piece.length);
        if (result instanceof Error) {
            got.error = result.code + ' ' + result.reason;
        }
    }
    if (!got.error && got.complete < 0) {
        const result = parser.finish();
        if (result instanceof Error) {
            got.error = result.code + ' ' + result.reason;
        }
    }
    parser.close();
    got.trailers = got.fields.splice(got.n_head);
    return got;
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
    console.log(JSON.stringify(parse(line[0], Buffer.from(line.slice(2), 'hex'))));
});
