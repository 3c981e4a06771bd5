// What the suite has the official JavaScript client do: an application from its making to its end. Says what it found
// as one line of JSON.
const { Svix, Webhook, ApiException } = require("svix");

async function main(serverUrl, token, receiver) {
  const svix = new Svix(token, { serverUrl });
  const app = await svix.application.create({ name: "javascript", uid: "from-javascript" });
  const again = await svix.application.get("from-javascript");
  await svix.eventType.create({ name: "js.made", description: "d" });
  const endpoint = await svix.endpoint.create(app.id, { url: receiver + "/javascript", eventTypes: ["js.made"] });
  const secret = await svix.endpoint.getSecret(app.id, endpoint.id);
  const message = await svix.message.create(app.id, {
    eventType: "js.made", eventId: "js-1", payload: { text: "héllo ☃", n: 1.5 }, tags: ["js"],
  });
  const listed = await svix.message.list(app.id, { tag: "js" });
  let conflict = 0;
  try {
    await svix.message.create(app.id, { eventType: "js.made", eventId: "js-1", payload: {} });
  } catch (error) {
    if (!(error instanceof ApiException)) throw error;
    conflict = error.code;
  }
  let attempts = [];
  for (let look = 0; look < 200 && attempts.length === 0; look++) {
    attempts = (await svix.messageAttempt.listByEndpoint(app.id, endpoint.id)).data;
    if (attempts.length === 0) await new Promise((done) => setTimeout(done, 50));
  }
  const rotated = await svix.endpoint.rotateSecret(app.id, endpoint.id, {});
  await svix.application.delete(app.id);
  console.log(JSON.stringify({
    sameApplication: again.id === app.id, secret: secret.key, message: message.id,
    listed: listed.data.map((one) => [one.id, one.eventId, one.tags]), conflict,
    attempts: attempts.map((one) => [one.msgId, one.status, one.responseStatusCode]),
    rotated: rotated === undefined || rotated === null || typeof rotated.key === "string",
  }));
}

// `verify`: standard input is {secret, headers, body} of a delivery.
if (process.argv[2] === "verify") {
  const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
  new Webhook(given.secret).verify(given.body, given.headers);
} else {
  main(...process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
