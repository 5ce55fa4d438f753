// GitHub's REST API on a loopback port: the npm package `emulate` with what it lacks added here.
//
//   node emulator.mjs <folder of the package>
//
// Prints {"url": …}; then reads one JSON request a line and answers each with one JSON line:
//   {"op":"reset"}                 forget everything, faults and log included
//   {"op":"faults","faults":[…]}   queue faults, see `Fault` in server.py
//   {"op":"log"}                   requests since the last reset
//   {"op":"push",…}                commit files to a branch, see `Emulator.push` in server.py
//   {"op":"pull",…}                open a pull request, see `Emulator.pull`
//   {"op":"clock","at":…}          what time it is from now on; without "at" the real time
// Ends when its standard input does.
//
// Added: 401 for unknown tokens, ETag and 304, limits of titles and bodies, bot accounts, pull
// requests in the list of issues and as issues, the reason `duplicate`, no `closed_by` in lists,
// issues that were deleted, who edited a body (GraphQL), who may write where, the files of a pull
// request (all, over pages) and their number, pull requests of forks, a log and a queue of faults.
import http from 'node:http';
import { createHash } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const LOGINS = [
  'github-actions[bot]', 'other-app[bot]', 'maintainer', 'stranger', 'requester', 'octo',
];
// Who may write in a repository, by a pattern of its name: `kernels` belongs to other people, and
// an app's token is good for the repositories alone in which it is installed.
const WRITERS = (repository) =>
  repository.endsWith('/kernels')
    ? ['octo']
    : ['octo', 'maintainer', 'github-actions[bot]', 'other-app[bot]'];
const INSTALLED = (login, repository) =>
  !login.endsWith('[bot]') || WRITERS(repository).includes(login);
const PERMISSION = /^\/repos\/([^/]+\/[^/]+)\/collaborators\/([^/]+)\/permission$/;
const ALIASES = 400; // the emulator blocks a token after 5000 calls and never forgets the count
const CALLS_PER_ALIAS = 4000;
const ISSUES = /^\/repos\/([^/]+\/[^/]+)\/issues$/;
const ISSUE = /^\/repos\/([^/]+\/[^/]+)\/issues\/(\d+)$/;
const PULL = /^\/repos\/([^/]+\/[^/]+)\/pulls\/(\d+)(\/files)?$/;
const COMMENTS = /^\/repos\/[^/]+\/[^/]+\/issues\/(\d+\/)?comments(\/\d+)?$/;

let faults = [];
let log = [];
let duplicates = new Set();
let deleted = new Set();
let edits = {};
let forks = new Map();
let calls = 0;
let listener;

const RealDate = Date;
let ahead = 0; // milliseconds
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length) super(...args);
    else super(RealDate.now() + ahead);
  }
  static now() {
    return RealDate.now() + ahead;
  }
};

const createServer = http.createServer;
http.createServer = (...args) => {
  listener = args.at(-1);
  return createServer(...args.slice(0, -1), handle);
};
syncBuiltinESMExports();

const { createEmulator } = await import(
  pathToFileURL(path.join(process.argv[2], 'dist', 'api.js')).href
);
const tokens = {};
for (const login of LOGINS) {
  for (let n = 0; n < ALIASES; n++) tokens[`${login}-${n}`] = { login, scopes: ['repo'] };
}
const gh = await createEmulator({
  service: 'github',
  port: 0,
  seed: {
    tokens,
    github: {
      users: LOGINS.map((login) => ({ login })),
      repos: ['bench', 'other', 'kernels'].map((name) => ({ owner: 'octo', name })),
    },
  },
});
console.log(JSON.stringify({ url: gh.url }));

const operations = {
  reset() {
    gh.reset();
    [faults, log, duplicates, deleted] = [[], [], new Set(), new Set()];
    [edits, forks, ahead] = [{}, new Map(), 0];
    return {};
  },
  faults(request) {
    faults = request.faults;
    return {};
  },
  log: () => ({ log }),
  clock({ at }) {
    ahead = at ? RealDate.parse(at) - RealDate.now() : 0;
    return {};
  },
  delete(request) {
    deleted.add(`/repos/${request.repository}/issues/${request.number}`);
    return {};
  },
  async push({ repository, branch, files }) {
    const ask = as('octo', repository);
    const known = await call('GET', `/repos/${repository}/git/ref/heads/${branch}`, null, 'octo');
    const start = known.status === 200 ? branch : 'main';
    const parent = (await ask('GET', `/git/ref/heads/${start}`)).object.sha;
    const tree = Object.entries(files).map(([name, content]) => {
      const entry = { path: name, mode: '100644', type: 'blob' };
      return content === null ? { ...entry, sha: null } : { ...entry, content };
    });
    const base = (await ask('GET', `/git/commits/${parent}`)).tree.sha;
    const { sha: made } = await ask('POST', '/git/trees', { base_tree: base, tree });
    const commit = { message: 'A change', tree: made, parents: [parent] };
    const { sha } = await ask('POST', '/git/commits', commit);
    if (known.status === 200) await ask('PATCH', `/git/refs/heads/${branch}`, { sha });
    else await ask('POST', '/git/refs', { ref: `refs/heads/${branch}`, sha });
    return { sha };
  },
  async pull({ repository, branch, body, login, fork }) {
    const content = { title: 'A change', body, head: branch, base: 'main' };
    const { number } = await as(login, repository)('POST', '/pulls', content);
    if (fork) forks.set(`${repository}/${number}`, fork);
    return { number };
  },
  async write({ repository, path, method, content, login }) {
    return { answer: await as(login, repository)(method, path, content) };
  },
};
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const request = JSON.parse(line);
    console.log(JSON.stringify(await operations[request.op](request)));
  })
  .on('close', () => process.exit(0));

async function handle(request, response) {
  const body = await read(request);
  const login = (request.headers.authorization ?? '').replace(/^(token|bearer) (canary-token-of-)?/i, '');
  const entry = { method: request.method, path: request.url, login };
  log.push(entry);
  const fault = nextFault(request);
  if (fault && fault.when === 'before') return fail(request, response, fault);
  const answer = await act(request, body, login);
  entry.status = answer.status;
  if (fault) return fail(request, response, fault, answer);
  send(request, response, answer);
}

async function act(request, body, login) {
  if (!LOGINS.includes(login)) return json(401, { message: 'Bad credentials' });
  const url = new URL(request.url, gh.url);
  if (deleted.has(url.pathname)) return json(410, { message: 'This issue was deleted' });
  const refused = tooLong(request.method, url.pathname, body);
  if (refused) return refused;
  if (url.pathname === '/graphql') return bodyEdits(JSON.parse(body));
  if (url.pathname === '/user' && login.endsWith('[bot]')) {
    return json(403, { message: 'Resource not accessible by integration' });
  }
  const asked = PERMISSION.exec(url.pathname);
  if (asked) return permission(asked[1], decodeURIComponent(asked[2]));
  const ask = (method, target, text) => call(method, target, text, login);
  const forbidden = await notAllowed(request.method, url.pathname, login, ask);
  if (forbidden) return forbidden;
  let answer;
  if (request.method === 'GET' && ISSUES.test(url.pathname)) answer = await list(url, ask);
  else answer = await ask(request.method, request.url, body);
  const pull = request.method === 'GET' && PULL.exec(url.pathname);
  if (pull) answer = await withFiles(pull, url.searchParams, answer, ask);
  const issue = ISSUE.exec(url.pathname);
  if (issue && request.method === 'GET' && answer.status === 404) {
    answer = await ask('GET', `/repos/${issue[1]}/pulls/${issue[2]}`);
    if (answer.status === 200) answer = json(200, pullAsIssue(JSON.parse(answer.text)));
  }
  if (issue && request.method === 'PATCH' && answer.status === 200) {
    noteReason(url.pathname, body);
    noteEdit(url.pathname, body, login);
  }
  return finish(answer);
}

function finish(answer) {
  if (answer.status >= 300 || !answer.text) return answer;
  const value = JSON.parse(answer.text, function revive(key, inner) {
    if (key === 'type' && inner === 'User' && /\[bot\]$/.test(this.login ?? '')) return 'Bot';
    return inner;
  });
  for (const issue of Array.isArray(value) ? value : [value]) {
    if (issue.state === 'closed' && duplicates.has(new URL(issue.url).pathname)) {
      issue.state_reason = 'duplicate';
    }
  }
  return { ...answer, text: JSON.stringify(value) };
}

function noteEdit(pathname, text, login) {
  if (JSON.parse(text).body === undefined) return;
  const __typename = login.endsWith('[bot]') ? 'Bot' : 'User';
  const editedAt = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  (edits[pathname] ??= []).unshift({ editedAt, editor: { __typename, login } });
}

// The one GraphQL query that the bot asks.
function bodyEdits({ query, variables: { owner, name, number } }) {
  if (!query.includes('userContentEdits')) {
    return json(200, { data: null, errors: [{ message: 'Not known here' }] });
  }
  const nodes = edits[`/repos/${owner}/${name}/issues/${number}`] ?? [];
  const pageInfo = { hasNextPage: false, endCursor: null };
  return json(200, { data: { repository: { issue: { userContentEdits: { nodes, pageInfo } } } } });
}

function permission(repository, login) {
  const role = WRITERS(repository).includes(login) ? 'write' : 'read';
  return json(200, { permission: role, role_name: role, user: null });
}

async function notAllowed(method, pathname, login, ask) {
  const at = ISSUES.exec(pathname) ?? ISSUE.exec(pathname) ?? /^\/repos\/([^/]+\/[^/]+)\//.exec(pathname);
  if (!['POST', 'PATCH', 'PUT', 'DELETE'].includes(method) || !at) return null;
  if (!INSTALLED(login, at[1])) {
    return json(403, { message: 'Resource not accessible by integration' });
  }
  if (method !== 'PATCH' || !ISSUE.test(pathname) || WRITERS(at[1]).includes(login)) return null;
  const issue = await ask('GET', pathname);
  if (issue.status !== 200 || JSON.parse(issue.text).user.login === login) return null;
  return json(403, { message: 'Must have admin rights to Repository.' });
}

function noteReason(pathname, body) {
  const { state, state_reason: reason } = JSON.parse(body);
  if (reason === 'duplicate') duplicates.add(pathname);
  else if (state) duplicates.delete(pathname);
}

async function list(url, ask) {
  const query = url.searchParams;
  const state = query.get('state') ?? 'open';
  const issues = await all(url.pathname, state, ask);
  if (!issues) return ask('GET', url.pathname + url.search);
  const pulls = await all(url.pathname.replace(/issues$/, 'pulls'), state, ask);
  const descending = (query.get('direction') ?? 'desc') === 'desc';
  const everything = [...issues, ...pulls.map(pullAsIssue)]
    .filter((i) => !deleted.has(new URL(i.url).pathname))
    .sort((a, b) => (descending ? b.number - a.number : a.number - b.number));
  const size = Math.min(Number(query.get('per_page') ?? 30), 100);
  const page = Number(query.get('page') ?? 1);
  const shown = everything.slice((page - 1) * size, page * size);
  for (const issue of shown) delete issue.closed_by;
  const headers = {};
  if (page * size < everything.length) {
    const next = new URL(url);
    next.searchParams.set('page', page + 1);
    headers.link = `<${next.href}>; rel="next"`;
  }
  return json(200, shown, headers);
}

async function all(pathname, state, ask) {
  const found = [];
  for (let page = 1; ; page++) {
    const answer = await ask('GET', `${pathname}?state=${state}&per_page=100&page=${page}`);
    if (answer.status !== 200) return null;
    const items = JSON.parse(answer.text);
    found.push(...items);
    if (items.length < 100) return found;
  }
}

async function withFiles([, repository, number, listed], query, answer, ask) {
  if (answer.status !== 200) return answer;
  const shown = listed
    ? JSON.parse((await ask('GET', `/repos/${repository}/pulls/${number}`)).text)
    : JSON.parse(answer.text);
  // The emulator keeps the commit at which the pull request was opened.
  const ref = await ask('GET', `/repos/${repository}/git/ref/heads/${shown.head.ref}`);
  shown.head.sha = JSON.parse(ref.text).object.sha;
  const span = `${shown.base.sha}...${shown.head.sha}`;
  const { files } = JSON.parse((await ask('GET', `/repos/${repository}/compare/${span}`)).text);
  if (!listed) {
    shown.changed_files = files.length;
    const fork = forks.get(`${repository}/${number}`);
    if (fork) {
      shown.head.label = `${fork.split('/')[0]}:${shown.head.ref}`;
      Object.assign(shown.head.repo, { full_name: fork, fork: true });
    }
    return json(200, shown);
  }
  const size = Math.min(Number(query.get('per_page') ?? 30), 100);
  const page = Number(query.get('page') ?? 1);
  const headers = {};
  if (page * size < Math.min(files.length, 3000)) {
    const next = `${gh.url}/repos/${repository}/pulls/${number}/files`;
    headers.link = `<${next}?per_page=${size}&page=${page + 1}>; rel="next"`;
  }
  return json(200, files.slice((page - 1) * size, Math.min(page * size, 3000)), headers);
}

function as(login, repository) {
  return async (method, target, content) => {
    const text = content ? JSON.stringify(content) : null;
    const answer = await call(method, `/repos/${repository}${target}`, text, login);
    if (answer.status >= 300) throw new Error(`${method} ${target}: ${answer.text}`);
    return answer.text ? JSON.parse(answer.text) : {};
  };
}

function pullAsIssue(pull) {
  const api = pull.url.replace(/\/pulls\/(\d+)$/, '/issues/$1');
  const links = { url: pull.url, html_url: pull.html_url, diff_url: null, patch_url: null };
  return {
    id: pull.id, node_id: pull.node_id, number: pull.number, title: pull.title, body: pull.body,
    url: api, html_url: pull.html_url, repository_url: api.replace(/\/issues\/\d+$/, ''),
    labels_url: `${api}/labels{/name}`, comments_url: `${api}/comments`,
    events_url: `${api}/events`, user: pull.user, labels: pull.labels ?? [], state: pull.state,
    locked: pull.locked ?? false, assignee: null, milestone: null, comments: 0,
    created_at: pull.created_at, updated_at: pull.updated_at, closed_at: pull.closed_at,
    author_association: 'NONE', pull_request: links,
  };
}

function tooLong(method, pathname, text) {
  if (!['POST', 'PATCH'].includes(method) || !text) return null;
  if (!ISSUES.test(pathname) && !ISSUE.test(pathname) && !COMMENTS.test(pathname)) return null;
  const { title, body } = JSON.parse(text);
  const [field, limit] = (title ?? '').length > 256 ? ['title', 256] : ['body', 65536];
  if ((title ?? '').length <= 256 && (body ?? '').length <= 65536) return null;
  const message = `${field} is too long (maximum is ${limit} characters)`;
  return json(422, {
    message: 'Validation Failed',
    errors: [{ resource: 'Issue', code: 'custom', field, message }],
    documentation_url: 'https://docs.github.com/rest',
  });
}

function call(method, target, text, login) {
  const alias = Math.floor(calls++ / CALLS_PER_ALIAS) % ALIASES;
  const inner = new http.IncomingMessage(null);
  Object.assign(inner, { method, url: target, httpVersion: '1.1' });
  inner.headers = { host: new URL(gh.url).host, authorization: `token ${login}-${alias}` };
  if (text) {
    inner.headers['content-type'] = 'application/json';
    inner.headers['content-length'] = String(Buffer.byteLength(text));
  }
  inner.rawHeaders = Object.entries(inner.headers).flat();
  inner.push(text || null);
  if (text) inner.push(null);
  return new Promise((resolve, reject) => {
    const outer = new http.ServerResponse(inner);
    const chunks = [];
    let headers = {};
    outer.writeHead = (status, ...rest) => {
      outer.statusCode = status;
      headers = { ...headers, ...(rest.at(-1) ?? {}) };
      return outer;
    };
    outer.write = (chunk) => chunks.push(Buffer.from(chunk)) > 0;
    outer.end = (chunk) => {
      if (chunk) chunks.push(Buffer.from(chunk));
      const all = { ...outer.getHeaders(), ...headers };
      resolve({ status: outer.statusCode, headers: all, text: Buffer.concat(chunks).toString() });
      return outer;
    };
    Promise.resolve(listener(inner, outer)).catch(reject);
  });
}

function send(request, response, answer) {
  const headers = { 'content-type': 'application/json; charset=utf-8', ...answer.headers };
  for (const name of Object.keys(headers)) {
    if (/^(content-length|transfer-encoding|connection)$/i.test(name)) delete headers[name];
  }
  if (request.method === 'GET' && answer.status === 200) {
    headers.etag = `W/"${createHash('sha256').update(answer.text).digest('hex')}"`;
    if (request.headers['if-none-match'] === headers.etag) {
      response.writeHead(304, headers);
      return response.end();
    }
  }
  response.writeHead(answer.status, headers);
  response.end(answer.text);
}

function nextFault(request) {
  for (const fault of faults) {
    if (fault.method && fault.method !== request.method) continue;
    if (!new RegExp(fault.path ?? '').test(request.url)) continue;
    if (fault.skip > 0) {
      fault.skip--;
      continue;
    }
    if (fault.times === 0) continue;
    fault.times--;
    return fault;
  }
  return null;
}

function fail(request, response, fault, answer) {
  if (fault.how === 'hang up') return request.socket.destroy();
  if (fault.how === 'hang') return; // whoever asked gives up
  if (fault.how === 'truncate') {
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer.text),
    });
    response.write(answer.text.slice(0, answer.text.length / 2));
    return setImmediate(() => request.socket.destroy());
  }
  const headers = { 'content-type': 'application/json', 'x-injected': 'yes', ...fault.headers };
  response.writeHead(fault.status, headers);
  response.end(fault.body ?? JSON.stringify({ message: 'Injected fault' }));
}

function json(status, value, headers = {}) {
  return { status, headers, text: JSON.stringify(value) };
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
