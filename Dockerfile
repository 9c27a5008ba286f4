# Nothing is compiled: Node runs the TypeScript sources, better-sqlite3 and cedar-wasm come prebuilt.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The optional packages are a Node for hosts without one; this image has its own.
RUN npm ci --omit=dev --omit=optional

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY schema ./schema
COPY migrations ./migrations
COPY policies ./policies
COPY deploy ./deploy
COPY src ./src
RUN mkdir -m 0700 /data && chown node:node /data
USER node
# Inside a container the loopback address reaches nobody: listen on all, and publish the port with care.
ENV DURAMEN_HTTP_LISTEN=0.0.0.0:8181 DURAMEN_GRPC_LISTEN=0.0.0.0:8182 DURAMEN_DATA_DIR=/data
VOLUME /data
EXPOSE 8181 8182
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8181/readyz').then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=16", "--no-allocation-site-pretenuring", "src/cli.ts"]
CMD ["serve"]
