"""base_platform.py: what Etlas' platforms inherit: updates, conversion maps, storage, a mailbox. Runs in a job."""
import logging

import platoon_child
import platoon_plain

SHOWN = 200  # characters of a message that the log shows


class BasePlatform:
    _job = None

    @property
    def logger(self):
        return logging.getLogger()

    def run(self):
        return self._run()

    def _run(self):
        raise NotImplementedError(f"class {type(self).__name__} has no method _run")

    # ---- how it goes ----

    def update(self, procedure, message):
        """Shows a stage of the job as it stands: job.meta of rq."""
        procedure, message = str(procedure), message if isinstance(message, str) else platoon_plain.plain(message)
        self.logger.debug("%s:%s", procedure, str(message)[:SHOWN])
        if procedure in ("original", "processed"):
            platoon_child.say(**{procedure: message})
        else:
            platoon_child.say(update={procedure: platoon_plain.plain(message)})

    def progress(self, done):
        """How much of it is done: 0 to 1."""
        platoon_child.say(progress=float(done))

    # ---- data ----

    def get_conversion_map(self, map_type, fallback=""):
        """A function of what the hash `maps` in Redis has for values of that kind; case does not count."""
        from appcore.services import Factory
        kept = Factory().get_storage_client("redis").get("maps", map_type)
        if kept is None:
            raise KeyError(f"there is no conversion map {map_type} in Redis")
        import pickle  # as the others below: few use it, and each sanjer would hold it in memory
        found = pickle.loads(kept)
        return lambda value: found.get(value.lower(), fallback)

    def _regex(self, column, pattern, fallback=""):
        """A column of a DataFrame with what the pattern's first group has caught."""
        return column.str.replace(pattern, lambda match: match.group(1) if match else fallback, regex=True)

    def _store_mysql(self, data, storage_settings):
        from platforms.helpers.mysql_connection import MysqlConnection
        with MysqlConnection(**storage_settings) as connection:
            connection.store(data, self.update)
        return True

    def _send_mail(self, data, storage_settings):
        raise NotImplementedError("_send_mail: no mail is sent from here")

    # ---- a mailbox: MAIL_CONFIG has host, user, password, sender, subject ----

    def _get_mailbox(self):
        self.update("login", "accessing")
        import imaplib
        mailbox = imaplib.IMAP4_SSL(host=self.MAIL_CONFIG["host"])
        self.update("login", "authenticating")
        mailbox.login(self.MAIL_CONFIG["user"], self.MAIL_CONFIG["password"])
        mailbox.select("inbox")
        self.update("login", "completed")
        return mailbox

    def _search_mailbox(self, mailbox, subject=None):
        """Numbers of the messages of self.date's day from the sender with that subject."""
        sender, subject = (text.replace("\\", "\\\\").replace('"', '\\"') for text in
                           (self.MAIL_CONFIG["sender"], subject or self.MAIL_CONFIG["subject"]))
        month = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()[self.date.month - 1]  # strftime would use the locale
        day = f"{self.date.day:02}-{month}-{self.date.year}"
        self.update("mailbox", "searching")
        _, found = mailbox.uid("SEARCH", None, f'(SENTON {day} HEADER FROM "{sender}" SUBJECT "{subject}")')
        return [int(uid) for uid in (found[0] or b"").split()]

    def _get_message(self, mailbox, uid):
        self.update("mailbox", "retrieving mail")
        import email
        return email.message_from_bytes(mailbox.uid("FETCH", str(uid), "(RFC822)")[1][0][1])

    def _find_attachment(self, attachment_name, mailbox, search_group):
        """Those of the numbers whose message has an attachment of that name."""
        found = []
        for uid in search_group:
            structure = mailbox.uid("FETCH", str(uid), "(BODYSTRUCTURE)")[1][0]
            text = (structure if isinstance(structure, bytes) else b"".join(structure)).decode("utf-8", "replace").lower()
            if f'"name" "{attachment_name.lower()}"' in text:
                found.append(uid)
        return found
