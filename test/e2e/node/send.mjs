// Sends one message by nodemailer: node send.mjs '{"transport": …, "message": …}'
import nodemailer from "nodemailer";

const { transport, message } = JSON.parse(process.argv[2]);
const info = await nodemailer.createTransport(transport).sendMail(message);
console.log(info.response);
