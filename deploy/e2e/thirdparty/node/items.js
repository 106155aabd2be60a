// Calls every operation of the API through openapi-fetch, with the types that openapi-typescript has generated
// from the API's own description. The environment has the API's URL, an access token of an administrator, and
// the id of that user.
// @ts-check

import assert from 'node:assert/strict'
import createClient from 'openapi-fetch'

const { API, TOKEN, OWNER } = /** @type {Record<string, string>} */ (process.env)

/** @type {import('openapi-fetch').Client<import('./items-schema.js').paths>} */
const api = createClient({ baseUrl: API, headers: { Authorization: 'Bearer ' + TOKEN } })

/** saw reports a step that succeeded.
 * @param {string} step */
const saw = (step) => console.log('saw ' + step)

/** status checks the status of a response.
 * @param {{response: Response}} result
 * @param {number} want */
const status = ({ response }, want) => assert.equal(response.status, want, response.url)

const me = await api.GET('/users/me')
assert.equal(me.data?.username, 'ada')
saw('GET /users/me')

const item = { params: { path: { item_id: 42 } } }
const unwritten = await api.GET('/items/{item_id}', item)
assert.deepEqual(unwritten.data, { item_id: 42, owner: 'ada' })
saw('GET /items/{item_id}')

const put = await api.PUT('/items/{item_id}', { ...item, body: { title: 'Buy milk' } })
status(put, 201)
assert.equal(put.data?.title, 'Buy milk')
const etag = put.response.headers.get('ETag') ?? ''
saw('PUT /items/{item_id}')

const patched = await api.PATCH('/items/{item_id}', {
  params: { ...item.params, header: { 'If-Match': etag } },
  body: { note: 'Two bottles' },
  headers: { 'Content-Type': 'application/merge-patch+json' },
})
assert.equal(patched.data?.note, 'Two bottles')
const stale = await api.PUT('/items/{item_id}', {
  params: { ...item.params, header: { 'If-Match': etag } },
  body: { title: 'Lost' },
})
status(stale, 412)
assert.equal(stale.error?.status, 412)
saw('PATCH /items/{item_id}')

const key = { params: { header: { 'Idempotency-Key': '"once"' } }, body: { title: 'Once' } }
const first = await api.POST('/items', key)
status(first, 201)
assert.deepEqual((await api.POST('/items', key)).data, first.data)
saw('POST /items')

const page = await api.GET('/items', { params: { query: { limit: 1, title: 'o' } } })
assert.equal(page.data?.items[0].item_id, first.data?.item_id)
saw('GET /items')

status(await api.DELETE('/items/{item_id}', item), 204)
saw('DELETE /items/{item_id}')

const all = await api.GET('/admin/items', { params: { query: { owner: OWNER } } })
assert.deepEqual(all.data?.items.map((i) => [i.owner_id, i.title]), [[OWNER, 'Once']])
saw('GET /admin/items')

const owned = { params: { path: { owner: OWNER, item_id: first.data?.item_id ?? 0 } } }
const one = '/admin/items/{owner}/{item_id}'
assert.equal((await api.GET(one, owned)).data?.owner, 'ada')
saw('GET ' + one)
assert.equal((await api.PUT(one, { ...owned, body: { title: 'Changed', note: 'x' } })).data?.title, 'Changed')
saw('PUT ' + one)
const merged = await api.PATCH(one, { ...owned, body: { note: null } })
assert.equal(merged.data?.note, undefined)
saw('PATCH ' + one)
status(await api.DELETE(one, owned), 204)
status(await api.GET(one, owned), 404)
saw('DELETE ' + one)
