// An API with Fastify and @fastify/jwt: GET /users/me responds to tokens that POST /token signs.
import fastify from 'fastify'
import jwt from '@fastify/jwt'
import { version } from './version.js'

await version('fastify', '@fastify/jwt')

const app = fastify()
app.register(jwt, { secret: 'a secret of thirty-two bytes or more' })
app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, done) => done(null, body))

const user = {
  type: 'object',
  properties: { username: { type: 'string' }, full_name: { type: 'string' } },
}

app.post('/token', async () => ({
  access_token: app.jwt.sign({ sub: 'john.doe', name: 'John Doe', scope: 'profile' }, { expiresIn: '30m' }),
  token_type: 'bearer',
}))

app.get('/users/me', {
  schema: { response: { 200: user } },
  onRequest: request => request.jwtVerify(),
}, async request => ({ username: request.user.sub, full_name: request.user.name }))

await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
