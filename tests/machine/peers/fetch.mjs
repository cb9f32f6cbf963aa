// node's fetch (undici, its own pool of kept connections): fetch.mjs COUNT URL...
// Asks COUNT times for each URL, the URLs mixed, WIDTH at a time. A URL's "ID" becomes the request's
// own number. Prints a line of JSON for each answer: {"url", "status", "server", "text"}.

const WIDTH = 16;
const [count, ...urls] = process.argv.slice(2);
const wanted = [];
for (let number = 0; number < Number(count); number++)
  for (const url of urls) wanted.push(url.replace("ID", `fetch-${number}`));

async function worker() {
  for (let url = wanted.shift(); url !== undefined; url = wanted.shift()) {
    let told;
    try {
      const answer = await fetch(url);
      told = { url, status: answer.status, server: answer.headers.get("server"),
               text: await answer.text() };
    } catch (error) {
      told = { url, status: 0, server: "", text: `${error}: ${error.cause}` };
    }
    console.log(JSON.stringify(told));
  }
}

await Promise.all(Array.from({ length: WIDTH }, worker));
