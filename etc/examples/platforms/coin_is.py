"""What a day's coins are worth: a platform as Etlas has them. `platoonctl job run coin_is date=yesterday`."""
from datetime import datetime

from platforms.base_platform import BasePlatform


class CoinIs(BasePlatform):
    TIMEOUT = 60
    RETRIES = 1

    def __init__(self, date: datetime, coins: list, rate: float = 0.95):
        super().__init__()
        self.date, self.coins, self.rate = date, coins, rate

    def _run(self):
        self.update("pull", "started")
        worth = 0.0
        for done, coin in enumerate(self.coins, 1):
            worth += coin * self.rate
            self.progress(done / len(self.coins))
        self.update("pull", f"{len(self.coins)} coins")
        self.logger.info("the rate was %s", self.rate)
        return {"date": self.date.strftime("%Y-%m-%d"), "worth": round(worth, 2)}
